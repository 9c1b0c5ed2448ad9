/** The charts tab of a run: a panel per metric that it logged. */
import { signal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";

import type { RunOverview } from "../../api/types.js";
import { viewState } from "../../state/navigation.js";
import { makeBoard } from "./board.js";
import { BoardView } from "./BoardView.js";
import { Toolbar } from "./Toolbar.js";
import { CHARTS_FIELDS } from "./view.js";
import "./charts.css";

interface RunChartsProps {
  run: RunOverview;
  /** Read the run again: its state, name or colour changed. */
  onRefresh?(): void;
}

/** How far the run's last sign of life may be behind before the run is read again. */
const SEEN_SECONDS = 10;

export function RunCharts({ run, onRefresh }: RunChartsProps) {
  const { project } = run;
  const runs = useMemo(() => signal<readonly RunOverview[]>([run]), [project, run.run_id]);
  const refresh = useRef(onRefresh);
  refresh.current = onRefresh;
  const latest = useRef(run);
  latest.current = run;
  useEffect(() => {
    const [known] = runs.peek();
    const isSame =
      known?.name === run.name &&
      known.color === run.color &&
      known.slot === run.slot &&
      known.started_at === run.started_at;
    if (!isSame) runs.value = [run];
  }, [runs, run]);
  const board = useMemo(
    () =>
      makeBoard({
        project,
        view: viewState(CHARTS_FIELDS),
        runs,
        areRunsKnown: signal(true),
        highlighted: signal(null),
        onRuns: (isFirst) => isFirst || refresh.current?.(),
        onRun({ state, last_seen }) {
          const isNews = state !== latest.current.state || (last_seen ?? 0) > (latest.current.last_seen ?? 0) + SEEN_SECONDS;
          if (isNews) refresh.current?.();
        },
      }),
    [project, runs],
  );
  useEffect(() => board.close, [board]);
  return (
    <div class="run-charts">
      <div class="run-charts-bar">
        <Toolbar board={board} />
      </div>
      <div class="board-area">
        <BoardView board={board} />
      </div>
    </div>
  );
}
