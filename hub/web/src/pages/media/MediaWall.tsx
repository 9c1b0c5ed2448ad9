/** The wall of a project: a row per metric, a column per run that is drawn, all at one step. */
import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { Failure, Notice } from "../../parts/Notice.js";
import { hasNoRuns, leavesNoRun, NoRunLeft, NoRuns } from "../../parts/NoRuns.js";
import { PageHeader } from "../../parts/PageHeader.js";
import { RunsRail } from "../../parts/RunsRail.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { formatCount } from "../../parts/format.js";
import { viewState } from "../../state/navigation.js";
import { RUNS_FIELDS, useRuns, type RunsState } from "../../state/runs.js";
import { makeMediaBoard, RUNS_MAX, type MediaBoard } from "./board.js";
import { Lightbox } from "./Lightbox.js";
import "./media.css";
import { useMediumSteps } from "./mediumSteps.js";
import { NoMedia } from "./NoMedia.js";
import { useStepKeys } from "./stepKeys.js";
import { StepSlider } from "./StepSlider.js";
import { MEDIA_FIELDS } from "./view.js";
import { WallGrid } from "./WallGrid.js";

const FIELDS = { ...RUNS_FIELDS, ...MEDIA_FIELDS };
const ROWS_MANY = 100;

export function MediaWall({ project }: { project: string }) {
  const view = useMemo(() => viewState(FIELDS), [project]);
  const runs = useRuns(project, view);
  const runIds = useComputed(() => runs.shown.value.map(({ run_id }) => run_id));
  const board = useMemo(
    () =>
      makeMediaBoard({
        project,
        view,
        runIds,
        // A long list is not read twice when the page opens.
        onRuns: (isFirst) => {
          if (!isFirst || runs.list.rows.peek().length < ROWS_MANY) runs.list.refresh();
        },
      }),
    [project, view, runs, runIds],
  );
  useEffect(() => board.close, [board]);
  useStepKeys(board);
  return (
    <div class="with-rail media-page">
      <RunsRail runs={runs} />
      <main class="media-column">
        <PageHeader crumbs={[{ label: project }]}>
          <StepSlider label="Step" steps={board.steps.value} step={board.step.value} onMove={board.moveTo} />
        </PageHeader>
        <Wall project={project} runs={runs} board={board} />
      </main>
    </div>
  );
}

interface WallProps {
  project: string;
  runs: RunsState;
  board: MediaBoard;
}

function Wall({ project, runs, board }: WallProps) {
  const opened = useSignal<{ metric: string; runId: string; label: string; at: number } | null>(null);
  const keys = board.keys.value;
  const error = board.error.value;
  const shown = runs.shown.value;
  const failure = error && (
    <Failure what="The media could not be read" error={error} onRetry={board.retry} />
  );
  if (hasNoRuns(runs)) return <NoRuns runs={runs} />;
  if (leavesNoRun(runs)) return <NoRunLeft runs={runs} />;
  if (runs.list.isReady.value && shown.length === 0) {
    return <Notice title="No run is chosen">Choose runs with the coloured chips in the list of runs.</Notice>;
  }
  if (keys === null) return failure ?? <Skeleton rows={8} />;
  if (keys.length === 0) return <NoMedia title="No run that is shown has logged media" />;
  return (
    <>
      {failure}
      {shown.length > RUNS_MAX && (
        <p class="fact media-note">{`The first ${formatCount(RUNS_MAX)} of ${formatCount(shown.length)} runs`}</p>
      )}
      <WallGrid
        project={project}
        runs={shown.slice(0, RUNS_MAX)}
        keys={keys}
        board={board}
        highlighted={runs.highlighted}
        onOpen={({ metric, run_id, label }, at) => (opened.value = { metric, runId: run_id, label, at })}
      />
      {opened.value && (
        <OpenedCell
          {...opened.value}
          project={project}
          runs={runs}
          board={board}
          onRun={(next) => (opened.value = { ...opened.value!, runId: next })}
          onTurn={(at) => (opened.value = { ...opened.value!, at })}
          onClose={() => (opened.value = null)}
        />
      )}
    </>
  );
}

interface OpenedCellProps {
  project: string;
  metric: string;
  runId: string;
  label: string;
  at: number;
  runs: RunsState;
  board: MediaBoard;
  onTurn(at: number): void;
  onRun(runId: string): void;
  onClose(): void;
}

function OpenedCell({ project, metric, runId, label, at, runs, board, onTurn, onRun, onClose }: OpenedCellProps) {
  const steps = useMediumSteps(board, project, runId, metric);
  const valueOf = (id: string) => board.valuesOf(metric, id)?.find((each) => each.label === label);
  const value = valueOf(runId);
  const turnRun = (by: number) => {
    const having = runs.shown.peek().filter(({ run_id }) => valueOf(run_id) !== undefined);
    const place = having.findIndex(({ run_id }) => run_id === runId);
    const next = having[(place + by + having.length) % having.length];
    if (next !== undefined) onRun(next.run_id);
  };
  const run = runs.shown.value.find(({ run_id }) => run_id === runId);
  if (value === undefined || run === undefined) return null;
  return (
    <Lightbox
      value={value}
      at={Math.min(at, value.items.length - 1)}
      run={run}
      tables={board.tables}
      onRun={turnRun}
      onTurn={onTurn}
      steps={steps}
      onClose={onClose}
    />
  );
}
