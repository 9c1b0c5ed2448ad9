/** One function per request of the hub's API. */
import { pathFrom, request, type RequestOptions } from "./client.js";
import type {
  AttributeKey, ConsolePage, Gap, HistogramName, HubStatus, MediaKey, MediaSteps, MediaValue,
  MetricName, MetricStatistics, ProjectOverview, ProjectsPage, RunBefore, RunChanges, RunDetail, RunDevices, RunNode, RunsPage, RunsQuery,
  Writer,
} from "./types.js";

type Abort = Pick<RequestOptions, "signal">;

export function listProjects(
  query: { search?: string; sort?: string; limit?: number; cursor?: string | null },
  abort: Abort = {},
): Promise<ProjectsPage> {
  return request("GET", "/projects", { query, ...abort });
}

export function getProject(project: string, abort: Abort = {}): Promise<ProjectOverview> {
  return request("GET", pathFrom("projects", project), abort);
}

export function listRuns(project: string, query: RunsQuery, abort: Abort = {}): Promise<RunsPage> {
  return request("POST", `${pathFrom("projects", project)}/runs/query`, { body: query, ...abort });
}

export function getRun(project: string, runId: string, abort: Abort = {}): Promise<RunDetail> {
  return request("GET", runPath(project, runId), abort);
}

export function editRun(project: string, runId: string, changes: RunChanges, before: RunBefore | null = null): Promise<RunDetail> {
  return request("PATCH", runPath(project, runId), { body: before === null ? changes : { ...changes, before } });
}

export function deleteRun(project: string, runId: string, { force = false } = {}): Promise<void> {
  return request("DELETE", runPath(project, runId), { query: { force } });
}

export function listMetrics(
  project: string,
  query: { search?: string; run_id?: readonly string[]; limit?: number; cursor?: string | null },
  abort: Abort = {},
): Promise<{ metrics: readonly MetricName[]; next_cursor: string | null }> {
  return request("GET", `${pathFrom("projects", project)}/metrics`, { query, ...abort });
}

export function listHistograms(
  project: string,
  query: { search?: string; run_id?: readonly string[]; limit?: number; cursor?: string | null },
  abort: Abort = {},
): Promise<{ histograms: readonly HistogramName[]; next_cursor: string | null }> {
  return request("GET", `${pathFrom("projects", project)}/histograms`, { query, ...abort });
}

export function listAttributes(
  project: string,
  query: { kind?: string; search?: string; limit?: number; cursor?: string | null },
  abort: Abort = {},
): Promise<{ attributes: readonly AttributeKey[]; next_cursor: string | null }> {
  return request("GET", `${pathFrom("projects", project)}/attributes`, { query, ...abort });
}

export function listRunMetrics(
  project: string,
  runId: string,
  abort: Abort = {},
): Promise<{ metrics: readonly MetricStatistics[] }> {
  return request("GET", `${runPath(project, runId)}/metrics`, abort);
}

export function listWriters(
  project: string,
  runId: string,
  abort: Abort = {},
): Promise<{ writers: readonly Writer[] }> {
  return request("GET", `${runPath(project, runId)}/writers`, abort);
}

export function listGaps(
  project: string,
  runId: string,
  abort: Abort = {},
): Promise<{ gaps: readonly Gap[] }> {
  return request("GET", `${runPath(project, runId)}/gaps`, abort);
}

export interface ConsoleQuery {
  search?: string;
  stream?: string;
  label?: string;
  before?: string | null;
  after?: string | null;
  around_time?: number | null;
  limit?: number;
}

export function readConsole(
  project: string,
  runId: string,
  query: ConsoleQuery,
  abort: Abort = {},
): Promise<ConsolePage> {
  return request("GET", `${runPath(project, runId)}/console`, { query: { ...query }, ...abort });
}

export function listMediaKeys(
  project: string,
  runs: readonly string[],
  abort: Abort = {},
): Promise<{ keys: readonly MediaKey[] }> {
  return request("POST", `${pathFrom("projects", project)}/media/keys`, { body: { runs }, ...abort });
}

/** The steps at which one metric has media, or any of them. */
export function listMediaSteps(
  project: string,
  query: { runs: readonly string[]; metric?: string },
  abort: Abort = {},
): Promise<MediaSteps> {
  return request("POST", `${pathFrom("projects", project)}/media/steps`, { body: query, ...abort });
}

/** The newest value of each metric, run and label at a step or before it; null: the newest of all. */
export function listMediaAt(
  project: string,
  query: { runs: readonly string[]; metrics: readonly string[]; step: number | null },
  abort: Abort = {},
): Promise<{ values: readonly MediaValue[] }> {
  return request("POST", `${pathFrom("projects", project)}/media/at`, { body: query, ...abort });
}

export function listNodes(
  project: string,
  runId: string,
  abort: Abort = {},
): Promise<{ nodes: readonly RunNode[] }> {
  return request("GET", `${runPath(project, runId)}/nodes`, abort);
}

/** End this browser's session. */
export function logOut(): Promise<void> {
  return request("POST", "/logout");
}

export function listDevices(project: string, runId: string, abort: Abort = {}): Promise<RunDevices> {
  return request("GET", `${runPath(project, runId)}/devices`, abort);
}

export function getStatus(abort: Abort = {}): Promise<HubStatus> {
  return request("GET", "/status", abort);
}

export function runPath(project: string, runId: string): string {
  return pathFrom("projects", project, "runs", runId);
}
