/** The charts of a project: its runs on the left, a panel per metric on the right. */
import { useEffect, useMemo } from "preact/hooks";

import { PageHeader } from "../../parts/PageHeader.js";
import { RunsRail } from "../../parts/RunsRail.js";
import { viewState } from "../../state/navigation.js";
import { isRailOpen } from "../../state/rail.js";
import { RUNS_FIELDS, useRuns } from "../../state/runs.js";
import { makeBoard, type Board } from "./board.js";
import { BoardView } from "./BoardView.js";
import { Toolbar } from "./Toolbar.js";
import { CHARTS_FIELDS } from "./view.js";
import "./charts.css";

const ROWS_MANY = 100;
const FIELDS = { ...RUNS_FIELDS, ...CHARTS_FIELDS };

export function Charts({ project }: { project: string }) {
  const view = useMemo(() => viewState(FIELDS), [project]);
  const runs = useRuns(project, view);
  const board = useMemo(
    () =>
      makeBoard({
        project,
        view,
        runs: runs.shown,
        areRunsKnown: runs.list.isReady,
        highlighted: runs.highlighted,
        // A long list is not read twice when the page opens.
        onRuns: (isFirst) => {
          if (!isFirst || runs.list.rows.peek().length < ROWS_MANY) runs.list.refresh();
        },
        onRun: ({ run_id, state }) => runs.list.patch(run_id, { state }),
        onPoints: (runIds) => runs.list.seen(runIds, Date.now() / 1000),
      }),
    [project, view, runs],
  );
  useEffect(() => board.close, [board]);
  // The rail is the legend of single runs.
  const hasLegend = board.groups.value !== null || !isRailOpen.value;
  return (
    <div class="with-rail charts-page">
      <RunsRail runs={runs} />
      <main class="charts-column">
        <PageHeader crumbs={[{ label: project }]}>
          <Toolbar board={board} canGroup />
        </PageHeader>
        <div class="board-area">
          {hasLegend && <Legend board={board} />}
          <BoardView board={board} />
        </div>
      </main>
    </div>
  );
}

const LEGEND_MAX = 24;

function Legend({ board }: { board: Board }) {
  const owners = board.owners.value;
  const { highlighted } = board.link;
  return (
    <ul class="legend" aria-label="Lines">
      {owners.slice(0, LEGEND_MAX).map(({ id, runId, name, color }) => (
        <li
          key={id}
          onPointerEnter={() => runId !== "" && (highlighted.value = runId)}
          onPointerLeave={() => (highlighted.value = null)}
        >
          <span class="chart-dot" style={{ background: color }} />
          <span class="legend-name" title={name}>
            {name}
          </span>
        </li>
      ))}
      {owners.length > LEGEND_MAX && <li class="fact">{`${owners.length - LEGEND_MAX} more`}</li>}
    </ul>
  );
}
