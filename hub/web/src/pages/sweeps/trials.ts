/** Trials of a sweep: their parameters as columns, their order, and the best so far. Pure. */
import type { Goal, Sweep, Trial } from "../../api/sweeps.js";
import { isValueMap, type Value, type ValueMap } from "../../api/values.js";

/** A column's key with "-" before it for the descending order. Parameters are `params.NAME`. */
export type TrialSort = string;

export const NEWEST_FIRST: TrialSort = "-number";
export const VALUE_COLUMN = "value";
const PARAMS = "params.";

/** How long a sweep that is over is still asked for: the last values come after the last trial. */
const AFTERWARDS_SECONDS = 60;

/** Values by path: {optimizer: {name: "adam"}} gives `optimizer.name`. */
export function flatParams(params: ValueMap): ReadonlyMap<string, Value> {
  const flat = new Map<string, Value>();
  const visit = (map: ValueMap, prefix: string): void => {
    for (const [key, value] of Object.entries(map)) {
      if (isValueMap(value) && Object.keys(value).length > 0) visit(value, `${prefix}${key}.`);
      else flat.set(prefix + key, value);
    }
  };
  visit(params, "");
  return flat;
}

/** The names of all trials' parameters, in the order in which they come. */
export function paramNames(trials: readonly Trial[]): string[] {
  return [...new Set(trials.flatMap(({ params }) => [...flatParams(params).keys()]))];
}

export function paramColumn(name: string): string {
  return PARAMS + name;
}

export function sortKey(sort: TrialSort): string {
  return sort.replace(/^-/, "");
}

/** The sort after a click on a column: the other way round, or how the column is of most use. */
export function sortAfter(sort: TrialSort, column: string, goal: Goal): TrialSort {
  if (sort === column) return `-${column}`;
  if (sort === `-${column}`) return column;
  const startsDescending = column === VALUE_COLUMN || column === "last" ? goal === "maximize" : column === "number" || column === "steps";
  return startsDescending ? `-${column}` : column;
}

/** In the order of `sort`, trials without a value last; where two are alike, by number. Running ones took until `now`. */
export function sortTrials(trials: readonly Trial[], sort: TrialSort, now: number): Trial[] {
  const column = sortKey(sort);
  const sign = sort.startsWith("-") ? -1 : 1;
  const keyed = trials.map((trial) => ({ trial, key: keyOf(trial, column, now) }));
  keyed.sort((a, b) => {
    const [isLessKnown, isMoreKnown] = [isMissing(a.key), isMissing(b.key)];
    if (isLessKnown || isMoreKnown) return Number(isLessKnown) - Number(isMoreKnown) || a.trial.number - b.trial.number;
    return sign * compare(a.key, b.key) || a.trial.number - b.trial.number;
  });
  return keyed.map(({ trial }) => trial);
}

export interface HistoryPoint {
  number: number;
  value: number;
  /** The best of this trial and those before it. */
  best: number;
}

/** Trials with a finite value by their numbers, each with the best until then. */
export function bestSoFar(trials: readonly Trial[], goal: Goal): HistoryPoint[] {
  const better = goal === "maximize" ? Math.max : Math.min;
  const points: HistoryPoint[] = [];
  for (const { number, value } of sortTrials(trials, "number", 0)) {
    if (value === null || !Number.isFinite(value)) continue;
    points.push({ number, value, best: better(value, points.at(-1)?.best ?? value) });
  }
  return points;
}

/** Seconds that a trial ran, until `now` where it runs; from its first attempt on. */
export function durationOf({ created_at, ended_at }: Trial, now: number): number {
  return Math.max(0, (ended_at ?? now) - created_at);
}

/** The state, and the exit code of a program that ended by itself with an error. */
export function trialStateText({ state, exit_code }: Trial): string {
  const hasCode = (state === "failed" || state === "crashed") && exit_code !== null && exit_code > 0;
  return hasCode ? `${state}, exit code ${exit_code}` : state;
}

/** Whether a trial has ended. */
export function isOver({ state }: Trial): boolean {
  return state !== "running" && state !== "waiting";
}

/** How many trials from the first on change no more while their runs exist. `trials` are all from number 1 on. */
export function settledCount(trials: readonly Trial[]): number {
  const open = trials.findIndex(({ is_settled }) => !is_settled);
  return open < 0 ? trials.length : open;
}

/** `before` with the trials of `news` in place of those from `kept` on; `before` itself where all is as it was. */
export function withNews(before: readonly Trial[], kept: number, news: readonly Trial[]): readonly Trial[] {
  const isSame = before.length === kept + news.length && news.every((trial, at) => isAlike(before[kept + at]!, trial));
  return isSame ? before : [...before.slice(0, kept), ...news];
}

function isAlike(a: Trial, b: Trial): boolean {
  const names = ["fencing", "state", "value", "last", "steps", "is_settled", "stop_reason", "is_run_deleted"] as const;
  return names.every((name) => a[name] === b[name]);
}

/** Whether something of the sweep may change by itself. `now` in seconds. */
export function isActive({ state, counts, updated_at }: Sweep, now: number): boolean {
  if (state === "pending" || state === "running" || state === "paused") return true;
  return counts.running + counts.waiting > 0 || now - updated_at < AFTERWARDS_SECONDS;
}

/** Trials that there are, attempts not counted. */
export function trialCount({ counts: { superseded: _, ...trials } }: Pick<Sweep, "counts">): number {
  return Object.values(trials).reduce((sum, count) => sum + count, 0);
}

function keyOf(trial: Trial, column: string, now: number): Value | undefined {
  if (column.startsWith(PARAMS)) return flatParams(trial.params).get(column.slice(PARAMS.length));
  if (column === VALUE_COLUMN || column === "last" || column === "steps" || column === "state") return trial[column];
  if (column === "duration") return durationOf(trial, now);
  return trial.number;
}

function isMissing(key: Value | undefined): boolean {
  return key === null || key === undefined || Number.isNaN(key);
}

function compare(a: Value | undefined, b: Value | undefined): number {
  const areNumbers = typeof a === "number" && typeof b === "number";
  if (areNumbers) return a < b ? -1 : a > b ? 1 : 0;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}
