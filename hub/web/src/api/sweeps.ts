/** Sweeps: types of the hub's JSON, and one function per request. */
import { pathFrom, request, type RequestOptions } from "./client.js";
import type { ValueMap } from "./values.js";

type Abort = Pick<RequestOptions, "signal">;

export type SweepState = "pending" | "running" | "paused" | "finished" | "canceled";
export type TrialState = "running" | "waiting" | "finished" | "failed" | "crashed" | "stopped";
export type Goal = "minimize" | "maximize";

export interface Sweep {
  id: string;
  project: string;
  name: string;
  description: string;
  state: SweepState;
  method: string;
  config: ValueMap;
  metric: { name: string; goal: Goal } | null;
  created_at: number;
  updated_at: number;
  run_cap: number | null;
  /** Of a grid, or the cap on runs where that is less; null: no end. */
  expected_trials: number | null;
  /** Trials by state; `superseded` counts attempts. */
  counts: Readonly<Record<TrialState | "superseded", number>>;
  best: { number: number; run_id: string; value: number } | null;
  agents: readonly SweepAgent[];
  /** Trials whose run was deleted. */
  deleted_runs: number;
}

export interface SweepAgent {
  id: string;
  host: string;
  pid: number;
  kind: "function" | "command";
  created_at: number;
  /** When it was heard of last. */
  seen_at: number;
  /** It was heard of within its lease, and did not say that it ends. */
  is_alive: boolean;
  /** When it said that it ends. */
  ended_at: number | null;
}

export interface Trial {
  number: number;
  fencing: number;
  run_id: string;
  state: TrialState;
  params: ValueMap;
  /** The best so far of the metric's finite values. */
  value: number | null;
  /** The last of them. */
  last: number | null;
  /** Logged values of the metric. */
  steps: number;
  /** It ended, all its values are known, and it changes no more unless its run is deleted. */
  is_settled: boolean;
  /** Its run was deleted: it has no values. */
  is_run_deleted: boolean;
  stop_reason: string;
  exit_code: number | null;
  /** The agent that has or had it last. */
  agent: string;
  created_at: number;
  ended_at: number | null;
  attempts: readonly { fencing: number; run_id: string; agent: string; state: string }[];
}

export interface Importances {
  metric: string | null;
  /** Trials that count. */
  trials: number;
  /** Fewer say nothing. */
  trials_min: number;
  /** Shuffled values give no parameter a larger share in 19 of 20 cases. */
  chance: number | null;
  /** The most important one first. */
  parameters: readonly ParameterImportance[];
}

export interface ParameterImportance {
  name: string;
  /** 0 to 1; null for the reason. */
  share: number | null;
  /** Rank correlation, -1 to 1; null where the parameter's values are not numbers. */
  direction: number | null;
  reason: string;
}

/** The trial that a run is an attempt of. */
export interface SweepPlace {
  sweep_id: string;
  name: string;
  number: number;
  fencing: number;
  /** No other agent has got the trial since. */
  is_newest: boolean;
}

export function listSweeps(
  query: { project: string; limit: number },
  abort: Abort = {},
): Promise<{ sweeps: readonly Sweep[]; next_cursor: string | null }> {
  return request("GET", "/sweeps", { query, ...abort });
}

export function getSweep(sweepId: string, abort: Abort = {}): Promise<Sweep> {
  return request("GET", pathFrom("sweeps", sweepId), abort);
}

/** Trials by their numbers, those behind `after`. */
export function listTrials(
  sweepId: string,
  query: { limit: number; after: number },
  abort: Abort = {},
): Promise<{ trials: readonly Trial[]; next_cursor: string | null }> {
  return request("GET", `${pathFrom("sweeps", sweepId)}/trials`, { query, ...abort });
}

export function getImportance(sweepId: string, abort: Abort = {}): Promise<Importances> {
  return request("GET", `${pathFrom("sweeps", sweepId)}/importance`, abort);
}

export function getSweepOfRun(
  project: string,
  runId: string,
  abort: Abort = {},
): Promise<{ sweep: SweepPlace | null }> {
  return request("GET", `${pathFrom("projects", project, "runs", runId)}/sweep`, abort);
}

export function changeSweep(sweepId: string, changes: { state: SweepState }): Promise<Sweep> {
  return request("PATCH", pathFrom("sweeps", sweepId), { body: changes });
}
