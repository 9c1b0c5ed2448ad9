/** The charts of a project: its runs on the left, a panel per metric on the right. */
import { computed } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { hasNoRuns, leavesNoRun, NoRunLeft, NoRuns } from "../../parts/NoRuns.js";
import { PageHeader } from "../../parts/PageHeader.js";
import { RunsRail } from "../../parts/RunsRail.js";
import { viewState } from "../../state/navigation.js";
import { isRailOpen } from "../../state/rail.js";
import { rereadValues } from "../../state/rereadValues.js";
import { RUNS_FIELDS, useRuns, type RunsState } from "../../state/runs.js";
import type { RunsList } from "../../state/runsList.js";
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
  const values = useMemo(() => rereadValues(runs), [runs]);
  const board = useMemo(
    () =>
      makeBoard({
        project,
        view,
        runs: runs.shown,
        areRunsKnown: runs.list.isReady,
        expectedRuns: computed(() => (runs.selection.value.mode === "all" ? (runs.list.total.value ?? 0) : 0)),
        highlighted: runs.highlighted,
        onRuns: (isFirst) => (isFirst ? refreshIfShort(runs.list) : runs.list.refresh()),
        onRun({ run_id, state, last_seen }) {
          runs.list.patch(run_id, { state });
          runs.list.seen(new Set([run_id]), last_seen ?? 0);
        },
        onPoints(runIds) {
          runs.list.seen(runIds, Date.now() / 1000);
          values.grow(runIds);
          runs.noteMetrics();
        },
      }),
    [project, view, runs],
  );
  useEffect(() => () => (board.close(), values.close()), [board]);
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
          <Drawn runs={runs} board={board} />
        </div>
      </main>
    </div>
  );
}

function Drawn({ runs, board }: { runs: RunsState; board: Board }) {
  if (hasNoRuns(runs)) return <NoRuns runs={runs} />;
  return leavesNoRun(runs) ? <NoRunLeft runs={runs} /> : <BoardView board={board} />;
}

/** A long list is not read twice when the page opens. */
function refreshIfShort(list: RunsList): void {
  const stop = list.isReady.subscribe((isReady) => {
    if (!isReady) return;
    queueMicrotask(() => stop());
    if (list.rows.peek().length < ROWS_MANY) list.refresh();
  });
}

const LEGEND_MAX = 24;

function Legend({ board }: { board: Board }) {
  const owners = board.owners.value;
  const { highlighted } = board;
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
