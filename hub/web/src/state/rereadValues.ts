/** Reads the columns of a list again, at most so often, for running runs that got points. */
import type { RunsState } from "./runs.js";
import { throttled } from "./throttled.js";

const VALUES_MS = 3000;

export function rereadValues(runs: Pick<RunsState, "columns" | "list">) {
  const grown = new Set<string>();
  const reread = throttled(VALUES_MS, () => {
    const runIds = new Set(grown);
    grown.clear();
    if (runs.columns.peek().some((column) => /^(summary|metric)\./.test(column))) void runs.list.reread(runIds);
  });
  return {
    grow(runIds: ReadonlySet<string>) {
      // The first news name every run that is watched; what has ended has its values.
      for (const { run_id, state } of runs.list.rows.peek())
        if (state === "running" && runIds.has(run_id)) grown.add(run_id);
      if (grown.size > 0) reread.call();
    },
    close: reread.cancel,
  };
}
