/** Runs as comma-separated values (RFC 4180), for spreadsheets. Pure. */
import type { RunOverview } from "../api/types.js";
import { encodeJson, type Value } from "../api/values.js";
import { formatTags } from "./edits.js";

/** A text that starts so would be run as a formula; numbers are no texts here. */
const FORMULA = /^[=+\-@\t\r]/;

export function csvField(value: Value | undefined): string {
  if (value === null || value === undefined) return "";
  const isText = typeof value === "string";
  const text = isText ? value : typeof value === "object" ? encodeJson(value) : String(value);
  const safe = isText && FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function runsCsv(
  runs: readonly RunOverview[],
  columns: readonly string[],
  valueOf: (run: RunOverview, column: string) => Value | undefined,
): string {
  const lines = [["run_id", "name", ...columns].map(csvField)];
  for (const run of runs) {
    lines.push([run.run_id, run.name, ...columns.map((column) => (column === "tags" ? formatTags(run.tags) : valueOf(run, column)))].map(csvField));
  }
  return lines.map((fields) => fields.join(",")).join("\r\n") + "\r\n";
}
