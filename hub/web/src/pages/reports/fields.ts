/** A panel's fields, which the hub has checked and filled in, and the question that chooses its runs. Pure. */
import type { Block, PanelFields } from "../../api/reports.js";
import type { RunsPage, RunsQuery } from "../../api/types.js";
import { formatCount } from "../../parts/format.js";
import { columnsToAsk } from "../../state/columns.js";

export function textOf(fields: PanelFields, name: string): string {
  const value = fields[name];
  return typeof value === "string" ? value : "";
}

export function numberOf(fields: PanelFields, name: string): number | null {
  const value = fields[name];
  return typeof value === "number" ? value : null;
}

export function namesOf(fields: PanelFields, name: string): readonly string[] {
  const value = fields[name];
  return Array.isArray(value) ? (value as readonly string[]) : [];
}

const LIMIT = 20;

/** Which runs a panel is of; `columns` are what it shows of them. */
export function runsQuery(fields: PanelFields, columns: readonly string[] = []): RunsQuery {
  const ids = namesOf(fields, "ids");
  const sort = namesOf(fields, "sort");
  return {
    filter: ids.length > 0 ? ids.map((id) => `id:${JSON.stringify(id)}`).join("|") : textOf(fields, "runs"),
    sort: sort.length > 0 ? sort : ["-started"],
    columns: columnsToAsk(columns),
    limit: numberOf(fields, "limit") ?? LIMIT,
    cursor: null,
    // Who names a run wants it, archived or not.
    archived: ids.length > 0,
  };
}

/**
 * The metrics of which a run must have one to be drawn; none for runs that are named, and for a
 * panel that draws what matches a pattern.
 */
export function neededMetrics(fields: PanelFields): readonly string[] {
  if (namesOf(fields, "ids").length > 0 || textOf(fields, "match") !== "") return [];
  const metric = textOf(fields, "metric");
  return metric === "" ? namesOf(fields, "metrics") : [metric];
}

/** That a panel has fewer runs than match, or "". */
export function cutText(fields: PanelFields, { runs, total, next_cursor }: RunsPage): string {
  if (next_cursor === null) return "";
  const sort = namesOf(fields, "sort");
  const which = sort.length === 0 || (sort.length === 1 && sort[0] === "-started") ? "newest" : "first";
  const limit = numberOf(fields, "limit");
  const all = total === null ? `more than ${formatCount(runs.length)}` : formatCount(total);
  return `The ${which} ${formatCount(runs.length)} of ${all} runs${limit === null ? "" : ` (limit: ${limit})`}`;
}

/** Why a panel has nothing to show, with the runs that were read if more match. */
export function withCut(words: string, cut: string): string {
  return cut === "" ? words : `${words}. ${cut}`;
}

/** A regular expression of RE2 for the metrics of a line panel. */
export function metricPattern(fields: PanelFields): string {
  const names = namesOf(fields, "metrics").map((name) => name.replace(/[\\^$.|?*+()[\]{}]/g, "\\$&"));
  const match = textOf(fields, "match");
  const exact = names.length > 0 ? `^(?:${names.join("|")})$` : "";
  return [exact, match === "" ? "" : `(?:${match})`].filter((part) => part !== "").join("|");
}

/** Named metrics that the runs lack; none as long as it is not known what they have. */
export function missingMetrics(named: readonly string[], found: readonly string[] | null): string[] {
  if (found === null) return [];
  const known = new Set(found);
  return named.filter((name) => !known.has(name));
}

/** What board and hub call the scale of y. */
export function scaleOf(fields: PanelFields): "lin" | "log" | "symlog" {
  const y = textOf(fields, "y");
  return y === "log" || y === "symlog" ? y : "lin";
}

/**
 * Keys by which blocks stay the same component while the text changes: a panel keeps its charts
 * while something else is typed.
 */
export function blockKeys(blocks: readonly Block[]): string[] {
  const seen = new Map<string, number>();
  return blocks.map((block) => {
    const what = block.panel !== "" ? `${block.panel} ${JSON.stringify(block.fields)}` : block.problems.length > 0 ? "problem" : "text";
    const count = (seen.get(what) ?? 0) + 1;
    seen.set(what, count);
    return `${what} ${count}`;
  });
}
