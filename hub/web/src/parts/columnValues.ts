/** What a column shows of a run. Pure. */
import type { RunOverview } from "../api/types.js";
import type { Value } from "../api/values.js";
import { isOwnColumn, type OwnColumn } from "../state/columns.js";
import { formatAge, formatDuration, formatValue } from "./format.js";

function ownValue(run: RunOverview, column: OwnColumn, now: number): Value {
  switch (column) {
    case "state":
      return run.state;
    case "started":
      return run.started_at === null ? null : formatAge(run.started_at, now);
    case "duration": {
      const end = run.ended_at ?? (run.state === "running" ? now : run.last_seen);
      return run.started_at === null || end === null ? null : formatDuration(Math.max(0, end - run.started_at));
    }
    case "seen":
      return run.last_seen === null ? null : formatAge(run.last_seen, now);
    case "tags":
      return run.tags.join(", ");
    case "group":
      return run.group;
    case "job_type":
      return run.job_type;
    case "notes":
      return run.notes;
    case "host":
      return run.hosts.join(", ");
    case "id":
      return run.run_id;
  }
}

export function columnValue(run: RunOverview, column: string, now: number): Value | undefined {
  return isOwnColumn(column) ? ownValue(run, column, now) : run.columns[column];
}

export function isNumberValue(value: Value | undefined): boolean {
  return typeof value === "number" || typeof value === "bigint";
}

export function columnText(run: RunOverview, column: string, now: number): string {
  return formatValue(columnValue(run, column, now));
}

