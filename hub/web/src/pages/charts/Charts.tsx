/** The charts of a project: its runs on the left, a panel per metric on the right. */
import { useEffect, useMemo } from "preact/hooks";

import { PageHeader } from "../../parts/PageHeader.js";
import { RunsRail } from "../../parts/RunsRail.js";
import { viewState } from "../../state/navigation.js";
import { runColor } from "../../state/palette.js";
import { RUNS_FIELDS, useRuns } from "../../state/runs.js";
import { theme } from "../../state/theme.js";
import { makeBoard } from "./board.js";
import { BoardView } from "./BoardView.js";
import type { RunGroup } from "./groups.js";
import { Toolbar } from "./Toolbar.js";
import { CHARTS_FIELDS } from "./view.js";
import "./charts.css";

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
        onRuns: runs.list.refresh,
        onRun: ({ run_id, state, last_seen }) => runs.list.patch(run_id, { state, last_seen }),
      }),
    [project, view, runs],
  );
  useEffect(() => board.close, [board]);
  const groups = board.groups.value;
  return (
    <div class="with-rail charts-page">
      <RunsRail runs={runs} />
      <div class="charts-column">
        <PageHeader crumbs={[{ label: project }]}>
          <Toolbar board={board} canGroup />
        </PageHeader>
        <div class="board-area">
          {groups !== null && <Legend groups={groups} />}
          <BoardView board={board} />
        </div>
      </div>
    </div>
  );
}

const LEGEND_MAX = 24;

function Legend({ groups }: { groups: readonly RunGroup[] }) {
  return (
    <ul class="legend" aria-label="Groups">
      {groups.slice(0, LEGEND_MAX).map((group) => (
        <li key={group.name}>
          <span class="chart-dot" style={{ background: runColor(group, theme.value) }} />
          <span class="legend-name" title={group.name}>
            {group.name}
          </span>
          <span class="fact">{group.runIds.length}</span>
        </li>
      ))}
      {groups.length > LEGEND_MAX && <li class="fact">{`${groups.length - LEGEND_MAX} more`}</li>}
    </ul>
  );
}
