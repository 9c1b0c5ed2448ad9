/** Sweeps: what the hub's JSON holds of them, and one function per request. */
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
  agents: readonly { is_alive: boolean }[];
}

export interface Trial {
  number: number;
  run_id: string;
  state: TrialState;
  params: ValueMap;
  /** The best so far. */
  value: number | null;
  /** Logged values of the metric. */
  steps: number;
  stop_reason: string;
  exit_code: number | null;
  attempts: readonly { fencing: number; run_id: string; state: string }[];
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

/** Trials by their numbers. */
export function listTrials(
  sweepId: string,
  query: { limit: number },
  abort: Abort = {},
): Promise<{ trials: readonly Trial[]; next_cursor: string | null }> {
  return request("GET", `${pathFrom("sweeps", sweepId)}/trials`, { query, ...abort });
}

export function changeSweep(sweepId: string, changes: { state: SweepState }): Promise<Sweep> {
  return request("PATCH", pathFrom("sweeps", sweepId), { body: changes });
}
