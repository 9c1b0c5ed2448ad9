/** Types of the hub's JSON. Moments (`…_at`, `time`, `last_seen`) are seconds since 1970 UTC. */
import type { ValueMap } from "./values.js";

export interface ProjectOverview {
  project: string;
  run_count: number;
  running_count: number;
  started_at: number | null;
  last_activity_at: number | null;
  /** Not part of the other counts. */
  archived_count: number;
}

export interface RunOverview {
  project: string;
  run_id: string;
  name: string;
  state: string;
  exit_code: number | null;
  started_at: number | null;
  ended_at: number | null;
  last_seen: number | null;
  writers: number;
  hosts: readonly string[];
  tags: readonly string[];
  group: string;
  job_type: string;
  /** The id of the sweep whose trial it is, or "". */
  sweep: string;
  notes: string;
  color: string;
  archived: boolean;
  columns: ValueMap;
  slot: number;
}

export interface RunDetail extends RunOverview {
  config: ValueMap;
  summary: ValueMap;
  metadata: ValueMap;
  defined_metrics: ValueMap;
  metric_count: number;
  point_count: number;
  gap_count: number;
  dropped_points: number;
  version: number;
}

export interface RunChanges {
  name?: string;
  notes?: string;
  tags?: readonly string[];
  group?: string;
  color?: string;
  archived?: boolean;
}

/** What an editor showed when the change began: the hub keeps what others changed since. */
export interface RunBefore {
  notes?: string;
  tags?: readonly string[];
}

export interface RunsQuery {
  filter: string;
  sort: readonly string[];
  columns: readonly string[];
  limit: number;
  cursor: string | null;
  archived: boolean;
  /** Only runs that logged one of these metrics, of any kind; none: all runs. */
  logged?: readonly string[];
}

export interface RunsPage {
  runs: readonly RunOverview[];
  /** Why colours are not the stored ones; "" where they are. */
  color_problem?: string;
  /** Where the filter leaves no run: names in it that no run has. */
  hints?: readonly string[];
  next_cursor: string | null;
  total: number | null;
}

export interface ProjectsPage {
  projects: readonly ProjectOverview[];
  next_cursor: string | null;
  total: number | null;
  /** Names of projects that have only sweeps, reports or artifacts; on the first page alone. */
  without_runs: readonly string[];
}

export interface MetricName {
  metric: string;
  run_count: number | null;
  point_count: number;
  /** Draw it over this metric; null: over the step. */
  step_metric: string | null;
}

export interface HistogramName {
  metric: string;
  run_count: number;
  histogram_count: number;
  first_step: number;
  last_step: number;
}

export interface MetricStatistics {
  metric: string;
  labels: readonly string[];
  count: number;
  nan_count: number;
  positive_inf_count: number;
  negative_inf_count: number;
  min: number | null;
  max: number | null;
  mean: number | null;
  first: number;
  last: number;
  first_step: number;
  last_step: number;
  last_time: number;
}

export interface AttributeKey {
  kind: string;
  path: string;
  types: readonly string[];
  run_count: number;
}

export interface Writer {
  writer_id: string;
  label: string;
  host: string;
  pid: number | null;
  rank: number | null;
  world_size: number | null;
  client: string;
  state: string;
  exit_code: number | null;
  started_at: number | null;
  last_seen: number | null;
}

export interface ConsoleLine {
  /** Of the line in its run: one that is written anew keeps it. */
  id: string;
  cursor: string;
  stream: string;
  label: string;
  number: number;
  time: number | null;
  text: string;
}

export interface ConsolePage {
  lines: readonly ConsoleLine[];
  before: string | null;
  after: string | null;
  total: number | null;
}

/** Rows that are missing; where rows and points are 0, how many is not known. */
export interface Gap {
  label: string;
  time: number;
  kind: string;
  reason: string;
  rows: number;
  points: number;
  first_step: number;
  last_step: number;
}

export interface RunNode {
  host: string;
  devices: readonly { label: string; kind: string }[];
  metrics: readonly string[];
}

/** A GPU or MIG instance of a node of a run. */
export interface RunDevice {
  host: string;
  label: string;
  kind: string;
  id: string;
  name: string;
  facts: Readonly<Record<string, string>>;
  is_of_run: boolean;
}

export interface RunDevices {
  devices: readonly RunDevice[];
  /** How the run's own are known; `node`: all of its nodes may be. */
  source: "processes" | "environment" | "node";
}

export interface MediaKey {
  metric: string;
  /** Of its last value. */
  type: string;
  count: number;
  runs: number;
  first_step: number;
  last_step: number;
}

/** The class of each pixel of an image, as a grey picture. */
export interface MediaMask {
  name: string;
  id: string | null;
  state: MediaItem["state"];
  digest: string;
  media_type: string;
  size: number;
  reason: string;
  /** Names of classes, by class. */
  labels: ValueMap;
  url: string;
}

export interface MediaItem {
  type: string;
  id: string | null;
  state: "uploading" | "ready" | "failed" | "none";
  digest: string;
  media_type: string;
  size: number;
  width: number;
  height: number;
  caption: string;
  reason: string;
  about: ValueMap;
  masks: readonly MediaMask[];
  /** Of a figure of Plotly: where its plotly.js is; "" for others, and if it was not stored. */
  library_url: string;
  /** Where the bytes are; "" unless they are ready. */
  url: string;
}

/** What one call of `log` put under one metric. */
export interface MediaValue {
  run_id: string;
  metric: string;
  label: string;
  step: number;
  time: number;
  type: string;
  items: readonly MediaItem[];
}

export interface MediaSteps {
  steps: readonly number[];
  /** True: there are more steps than the hub lists. */
  is_cut: boolean;
}

export interface HubStatus {
  hub: ValueMap;
  daemon: ValueMap | null;
  store: { tables: readonly { table: string; rows: number; bytes: number }[]; problem?: string };
}
