/** What a column shows of a run. Pure. */
import type { RunOverview } from "../api/types.js";
import { isValueMap, type Value } from "../api/values.js";
import { isOwnColumn, type OwnColumn } from "../state/columns.js";
import { mediumName } from "../state/valueTree.js";
import { formatAge, formatDuration, formatMoment, formatValue } from "./format.js";

/** A cell shows a line; what is longer is on the run's own page. */
const TEXT_CHARACTERS_MAX = 500;

const OPERATIONS: ReadonlySet<string> = new Set(["min", "max", "mean", "first", "last", "best"]);

/**
 * The value itself, moments and durations in seconds.
 *
 * The summary of a metric that `define_metric` gave one statistic is a map of that one, {"min": 1}.
 * Filters and sorts take its number, so a column shows it, also one without `summary.` before the name.
 */
export function columnValue(run: RunOverview, column: string, now: number): Value | undefined {
  if (isOwnColumn(column)) return ownValue(run, column, now);
  const value = run.columns[column];
  if (column.startsWith("config.") || !isValueMap(value)) return value;
  const [[operation, number] = ["", null], ...others] = Object.entries(value);
  return others.length === 0 && OPERATIONS.has(operation) && typeof number === "number" ? number : value;
}

export function columnText(run: RunOverview, column: string, now: number): string {
  const value = columnValue(run, column, now);
  if (typeof value !== "number") {
    const text = column.startsWith("config.") ? null : operationsText(value) ?? mediumText(value);
    return (text ?? formatValue(value)).slice(0, TEXT_CHARACTERS_MAX);
  }
  if (column === "duration") return formatDuration(value);
  if (column === "started" || column === "seen") return formatAge(value, now);
  return formatValue(value);
}

/** The text of a metric with several statistics by `define_metric`, such as `min 0.1, max 0.9`; else null. */
function operationsText(value: Value | undefined): string | null {
  if (!isValueMap(value)) return null;
  const entries = Object.entries(value);
  const isOperations = entries.every(([name, each]) => OPERATIONS.has(name) && typeof each === "number");
  return isOperations && entries.length > 0
    ? entries.map(([name, each]) => `${name} ${formatValue(each)}`).join(", ")
    : null;
}

/** "(image)" for a medium; the run's page shows it. Null for other values. */
function mediumText(value: Value | undefined): string | null {
  const name = isValueMap(value) ? mediumName(value) : "";
  return name === "" ? null : `(${name})`;
}

/** What is said on hover: the whole text, and moments as such. */
export function columnHint(run: RunOverview, column: string, now: number): string {
  const value = columnValue(run, column, now);
  if (typeof value !== "number") return columnText(run, column, now);
  if (column === "started" || column === "seen") return formatMoment(value);
  return column === "duration" ? `${value} s` : String(value);
}

export function isNumberColumn(run: RunOverview, column: string): boolean {
  const value = columnValue(run, column, 0);
  return typeof value === "number" || typeof value === "bigint";
}

function ownValue(run: RunOverview, column: OwnColumn, now: number): Value {
  switch (column) {
    case "state":
      return run.state;
    case "started":
      return run.started_at;
    case "duration":
      return durationSeconds(run, now);
    case "seen":
      return run.last_seen;
    case "tags":
      return run.tags.join(", ");
    case "group":
      return run.group;
    case "job_type":
      return run.job_type;
    case "sweep":
      return run.sweep;
    case "notes":
      return run.notes;
    case "host":
      return run.hosts.join(", ");
    case "id":
      return run.run_id;
  }
}

/** From the start to the end, or until now while the run runs. */
export function durationSeconds(run: RunOverview, now: number): number | null {
  const end = run.ended_at ?? (run.state === "running" ? now : run.last_seen);
  return run.started_at === null || end === null ? null : Math.max(0, end - run.started_at);
}
