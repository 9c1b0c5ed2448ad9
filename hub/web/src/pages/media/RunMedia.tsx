/** The media tab of a run: a panel per metric, all at one step unless unlinked. */
import { signal, useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import type { MediaKey } from "../../api/types.js";
import { formatCount } from "../../parts/format.js";
import { Failure, Notice } from "../../parts/Notice.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { viewState } from "../../state/navigation.js";
import type { RunTabProps } from "../run/runTab.js";
import { makeMediaBoard, type MediaBoard } from "./board.js";
import { kindOf } from "./kinds.js";
import { useMediumSteps } from "./mediumSteps.js";
import type { ValueProps } from "./valueProps.js";
import { Lightbox } from "./Lightbox.js";
import "./media.css";
import { NearScreen } from "./NearScreen.js";
import { NoMedia } from "./NoMedia.js";
import { useStepKeys } from "./stepKeys.js";
import { StepSlider } from "./StepSlider.js";
import { MEDIA_FIELDS } from "./view.js";

const SEARCH_FROM = 6;
/** Panels that are in the document before more are asked for. */
const PANELS_FIRST = 200;

export function RunMedia({ run }: RunTabProps) {
  const { project, run_id } = run;
  const board = useMemo(
    () => makeMediaBoard({ project, view: viewState(MEDIA_FIELDS), runIds: signal([run_id]) }),
    [project, run_id],
  );
  useEffect(() => board.close, [board]);
  useStepKeys(board);
  const near = useMemo(() => new Set<string>(), [board]);
  const setNear = (metric: string, isNear: boolean) => {
    if (isNear) near.add(metric);
    else near.delete(metric);
    board.want({ metrics: [...near].sort(), runs: [run_id] });
  };
  const opened = useSignal<{ metric: string; label: string; at: number } | null>(null);
  const open: ValueProps["onOpen"] = ({ metric, label }, at) => (opened.value = { metric, label, at });
  const search = useSignal("");
  const most = useSignal(PANELS_FIRST);
  const keys = board.keys.value;
  const error = board.error.value;
  const wanted = search.value.trim().toLowerCase();
  const shown = keys?.filter(({ metric }) => metric.toLowerCase().includes(wanted));
  return (
    <div class="media">
      {keys !== null && keys.length > 0 && (
        <div class="media-bar" role="group" aria-label="Step of all panels">
          <StepSlider label="Step" steps={board.steps.value} step={board.step.value} onMove={board.moveTo} />
          {keys.length >= SEARCH_FROM && (
            <input
              type="search"
              data-key="/"
              aria-label="Search media"
              placeholder={`Search ${formatCount(keys.length)} media`}
              value={search.value}
              onInput={(event) => (search.value = event.currentTarget.value)}
            />
          )}
          {board.areStepsCut.value && (
            <span class="fact">{`The first ${formatCount(board.steps.value.length)} steps`}</span>
          )}
        </div>
      )}
      {error && <Failure what="The media could not be read" error={error} onRetry={board.retry} />}
      {keys === null && !error && <Skeleton rows={8} />}
      {keys?.length === 0 && <NoMedia title="The run has logged no media" />}
      {keys !== null && keys.length > 0 && shown?.length === 0 && <Notice title="No media match the search" />}
      {shown?.slice(0, most.value).map((key) => (
        <Panel
          key={key.metric}
          project={project}
          runId={run_id}
          media={key}
          board={board}
          onNear={(isNear) => setNear(key.metric, isNear)}
          onOpen={open}
        />
      ))}
      {shown && shown.length > most.value && (
        <button type="button" class="media-rest" onClick={() => (most.value += PANELS_FIRST)}>
          {`Show more of ${formatCount(shown.length - most.value)} media`}
        </button>
      )}
      {opened.value && (
        <OpenedItem
          run={run}
          board={board}
          opened={opened.value}
          onTurn={(at) => (opened.value = { ...opened.value!, at })}
          onClose={() => (opened.value = null)}
        />
      )}
    </div>
  );
}

interface OpenedItemProps {
  run: RunTabProps["run"];
  board: MediaBoard;
  opened: { metric: string; label: string; at: number };
  onTurn(at: number): void;
  onClose(): void;
}

function OpenedItem({ run, board, opened, onTurn, onClose }: OpenedItemProps) {
  const steps = useMediumSteps(board, run.project, run.run_id, opened.metric);
  const values = board.valuesOf(opened.metric, run.run_id);
  const value = values?.find(({ label }) => label === opened.label);
  if (value === undefined) return null;
  const at = Math.min(opened.at, value.items.length - 1);
  return <Lightbox value={value} at={at} run={run} tables={board.tables} onTurn={onTurn} steps={steps} onClose={onClose} />;
}

interface PanelProps {
  project: string;
  runId: string;
  media: MediaKey;
  board: MediaBoard;
  onNear(isNear: boolean): void;
  onOpen: ValueProps["onOpen"];
}

function Panel({ project, runId, media, board, onNear, onOpen }: PanelProps) {
  const { metric } = media;
  const own = useComputed(() => board.own.value.get(metric)).value;
  const isOwn = own !== undefined;
  const values = useComputed(() => board.valuesOf(metric, runId)).value;
  const steps = [...new Set(values?.map(({ step }) => step))].sort((a, b) => a - b);
  return (
    <section class="card media-panel" aria-label={metric} data-metric={metric} data-step={steps.at(-1)}>
      <header class="card-head">
        <h2 class="mono wrap">{metric}</h2>
        <span class="fact">{steps.length > 0 && `step ${steps.join(", ")}`}</span>
        <button
          type="button"
          class="quiet small"
          aria-pressed={isOwn}
          title="Set a separate step for this panel"
          onClick={() => board.moveOwn(metric, isOwn ? undefined : board.step.peek())}
        >
          Own step
        </button>
      </header>
      {isOwn && (
        <StepSlider
          label={`Step of ${metric}`}
          steps={board.stepsOf(metric)}
          step={own}
          onMove={(next, isFinal) => isFinal && board.moveOwn(metric, next)}
        />
      )}
      <NearScreen onNear={onNear}>
        {() => (
          <>
            {values === undefined && <Skeleton rows={3} />}
            {values?.length === 0 && <p class="fact">{`No media at this step or before; the first are at step ${media.first_step}`}</p>}
            {values?.map((value) => {
              const { View } = kindOf(value.type);
              return (
                <div key={value.label} class="media-value">
                  {(values.length > 1 || value.label !== "") && (
                    <h3 class="fact">{`${value.label || "no label"}, step ${value.step}`}</h3>
                  )}
                  <View project={project} value={value} isSmall={false} tables={board.tables} onOpen={onOpen} />
                </div>
              );
            })}
          </>
        )}
      </NearScreen>
    </section>
  );
}
