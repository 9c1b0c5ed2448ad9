/** Keeps the rows of a list of runs as the hub has them: which runs, and the values of running ones. */
import { computed, effect } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { watchLive } from "./live.js";
import { rereadValues } from "./rereadValues.js";
import type { RunsState } from "./runs.js";
import { throttled } from "./throttled.js";

const REFRESH_MS = 1000;
/** The hub looks at each of them several times a second. */
const WATCHED_MAX = 200;

export function useLiveRows(runs: RunsState): void {
  useEffect(() => {
    const { project, list } = runs;
    const refresh = throttled(REFRESH_MS, list.refresh);
    const values = rereadValues(runs);
    const serialized = computed(() =>
      JSON.stringify({
        project,
        runs: list.rows.value.filter(({ state }) => state === "running").map(({ run_id }) => run_id).slice(0, WATCHED_MAX),
        metrics: metricsOf(runs.columns.value),
      }),
    );
    const watching = watchLive(JSON.parse(serialized.peek()), {
      onRuns: refresh.call,
      onMissed: refresh.call,
      onRun: ({ run_id, last_seen }) => list.seen(new Set([run_id]), last_seen ?? 0),
      onSeries: (news) => values.grow(new Set(news.map(({ run_id }) => run_id))),
      onMetrics(runIds) {
        values.grow(new Set(runIds));
        runs.noteMetrics();
      },
    });
    const stop = effect(() => watching.change(JSON.parse(serialized.value)));
    return () => {
      stop();
      refresh.cancel();
      values.close();
      watching.close();
    };
  }, [runs]);
}

/** The metrics whose values the columns show; values set by hand have no metric. */
export function metricsOf(columns: readonly string[]): string[] {
  const named = columns.flatMap((column) => {
    if (column.startsWith("summary.")) return column.slice("summary.".length);
    return column.startsWith("metric.") ? column.slice("metric.".length, column.lastIndexOf(":")) : [];
  });
  return [...new Set(named)];
}
