/**
 * Which runs are drawn, as the query string says it: `sel=all,-k3f`. Pure.
 *
 *     (none)     running runs, and the first of the list until there are ten
 *     top        the first ten of the list, in its order
 *     running    all that run
 *     all        every run that the filter leaves
 *     none       none
 *
 * After the mode, `id` adds a run and `-id` takes one away. Without a mode the ids are all there
 * is, so a shared address draws the same runs tomorrow.
 */
import type { RunOverview } from "../api/types.js";

export const DEFAULT_COUNT = 10;

const MODES = ["auto", "top", "running", "all", "none"] as const;
export type SelectionMode = (typeof MODES)[number];

export interface Selection {
  mode: SelectionMode;
  added: ReadonlySet<string>;
  removed: ReadonlySet<string>;
}

type Row = Pick<RunOverview, "run_id" | "state">;

export function parseSelection(tokens: readonly string[]): Selection {
  const [first, ...rest] = tokens;
  if (first === undefined) return { mode: "auto", added: new Set(), removed: new Set() };
  const mode = MODES.find((name) => name === first);
  const ids = mode === undefined ? tokens : rest;
  return {
    mode: mode ?? "none",
    added: new Set(ids.filter((id) => !id.startsWith("-"))),
    removed: new Set(ids.filter((id) => id.startsWith("-")).map((id) => id.slice(1))),
  };
}

export function formatSelection({ mode, added, removed }: Selection): readonly string[] {
  const ids = [...added, ...[...removed].map((id) => `-${id}`)];
  if (mode === "auto" && ids.length === 0) return [];
  // An id that is also a mode's name, or starts with a dash, cannot come first.
  const needsMode = mode !== "none" || ids.length === 0 || !isPlainId(ids[0] as string);
  return needsMode ? [mode, ...ids] : ids;
}

/** Whether all rows of the list have to be loaded to know what is selected. */
export function needsAllRows({ mode }: Selection): boolean {
  return mode === "all" || mode === "running";
}

/** The ids that are drawn, of the rows loaded so far and of `added`. */
export function selectIds(rows: readonly Row[], selection: Selection): Set<string> {
  const chosen = new Set(selection.added);
  for (const { run_id } of rowsOfMode(rows, selection.mode)) chosen.add(run_id);
  for (const id of selection.removed) chosen.delete(id);
  return chosen;
}

/** Show or hide one run. What was shown by the mode's rule alone stays by name from now on. */
export function toggleRun(rows: readonly Row[], selection: Selection, runId: string): Selection {
  const shown = selectIds(rows, selection);
  if (!needsAllRows(selection)) {
    if (!shown.delete(runId)) shown.add(runId);
    return { mode: "none", added: shown, removed: new Set() };
  }
  const added = new Set(selection.added);
  const removed = new Set(selection.removed);
  if (shown.has(runId)) {
    if (!added.delete(runId) || rowsOfMode(rows, selection.mode).some((row) => row.run_id === runId)) {
      removed.add(runId);
    }
  } else if (!removed.delete(runId)) {
    added.add(runId);
  }
  return { mode: selection.mode, added, removed };
}

function rowsOfMode(rows: readonly Row[], mode: SelectionMode): readonly Row[] {
  switch (mode) {
    case "all":
      return rows;
    case "none":
      return [];
    case "top":
      return rows.slice(0, DEFAULT_COUNT);
    case "running":
      return rows.filter(isRunning);
    case "auto": {
      const running = rows.filter(isRunning);
      const others = rows.filter((row) => !isRunning(row));
      return [...running, ...others.slice(0, Math.max(0, DEFAULT_COUNT - running.length))];
    }
  }
}

function isRunning(row: Row): boolean {
  return row.state === "running";
}

function isPlainId(id: string): boolean {
  return !id.startsWith("-") && !MODES.some((name) => name === id);
}
