/** A panel: one metric of the drawn runs, with its name, its newest value and its table. */
import { computed, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";

import { techniqueFor } from "../../engine/draw.js";
import { formatValue } from "../../engine/format.js";
import type { ChartSeries } from "../../engine/lines.js";
import { Chart } from "../../parts/Chart.js";
import { ChartTable } from "../../parts/ChartTable.js";
import type { HeldMetric } from "../../state/heldSeries.js";
import { frames, type Board } from "./board.js";
import { FullButton, PanelEmpty, PanelError, PanelTitle, TableButton } from "./panelParts.js";
import { honesty, lineEnd, nonFiniteText, noPositiveText, notPositiveText, notPositiveXText, withoutXText, panelSeries } from "./panelSeries.js";
import { axisText, type ChartsAxes } from "./view.js";

interface PanelProps {
  board: Board;
  metric: string;
  /** On the screen, not only near it. */
  isVisible: boolean;
  /** Near enough to have canvases. */
  hasChart: boolean;
  isFull?: boolean;
}

const PLAIN = { halfLife: 0, unit: "x" } as const;

export function Panel({ board, metric, isVisible, hasChart, isFull = false }: PanelProps) {
  const lane = board.laneOf(metric);
  const question = (isFull ? lane.fullQuestion : lane.question).value;
  const wholeQuestion = (isFull ? lane.fullWholeQuestion : lane.wholeQuestion).value;
  const isZoomed = question !== wholeQuestion && question.first !== null;
  const { sm, b } = board.values.value;
  const axes = lane.axes.value;
  const namesX = board.namesX || lane !== board.main;
  const owners = board.owners.value;
  const isGrouped = board.groups.value !== null;
  const isTable = useSignal(false);
  const drawn = useSignal(0);

  const held = frames.read(question, metric);
  const whole = isZoomed ? frames.read(wholeQuestion, metric) : null;
  const revision = held.revision.value;
  const wholeRevision = whole?.revision.value ?? 0;
  const ids = useMemo(() => owners.map((owner) => owner.id), [owners]);
  // A question of other buckets starts empty; what was drawn stays until its answer is here.
  const kind = `${axes.x} ${isGrouped} ${question.ranks}`;
  const drawnBefore = useRef<{ kind: string; series: HeldMetric["series"] } | null>(null);
  const isUnanswered = held.isWaiting || revision === 0;
  const stale =
    isUnanswered && drawnBefore.current?.kind === kind ? drawnBefore.current.series : null;
  if (!isUnanswered) drawnBefore.current = { kind, series: held.series };
  const series = useMemo(
    () => panelSeries(owners, held.series, whole?.series ?? null, stale),
    [owners, held, revision, whole, wholeRevision, stale],
  );
  const smoothing = useMemo(
    () =>
      sm > 0
        ? ({
            halfLife: sm,
            unit: axes.xUnit === "number" && axes.x === "step" ? "x" : "points",
          } as const)
        : PLAIN,
    [sm, axes.x, axes.xUnit],
  );

  const owner = useMemo(() => ({}), []);
  const wholeOwner = useMemo(() => ({}), []);
  useEffect(() => {
    frames.need(owner, { question, metric, ids, isVisible });
    // The whole series warms the smoothing of a zoomed one up.
    const needsWhole = isZoomed && sm > 0;
    frames.need(
      wholeOwner,
      needsWhole ? { question: wholeQuestion, metric, ids, isVisible } : null,
    );
  }, [question, wholeQuestion, isZoomed, sm > 0, metric, ids, isVisible]);
  useEffect(() => () => (frames.need(owner, null), frames.need(wholeOwner, null)), []);
  useEffect(() => board.mount(metric), [board, metric]);

  const isAnswered =
    !held.isWaiting &&
    (revision > 0 || (ids.length === 0 && board.areRunsKnown.value)) &&
    held.error === null;
  const isReady = isAnswered && (series.length === 0 || !hasChart || drawn.value > 0);
  const noPositive = useMemo(() => noPositiveText(series, axes, axes.zoom), [series, axes]);
  const level = series.reduce((most, one) => Math.max(most, one.data.level), 0);
  return (
    <section
      class={isFull ? "panel full" : "panel"}
      role="group"
      aria-label={metric}
      data-metric={metric}
      data-ready={isReady ? "true" : "false"}
      data-level={level}
      data-x={axes.x}
      data-series={series.length}
    >
      <header class="panel-head">
        <PanelTitle metric={metric} />
        <TableButton metric={metric} isTable={isTable} />
        {!isFull && <FullButton metric={metric} board={board} />}
        <PanelValue board={board} series={series} zoom={axes.zoom} />
      </header>
      <div class="panel-body">
        {isTable.value && (
          <ChartTable
            series={series}
            xUnit={axes.xUnit}
            xName={axes.xName}
            zoom={axes.zoom}
            isSmoothed={sm > 0}
          />
        )}
        {!isTable.value && hasChart && series.length > 0 && (
          <Chart
            label={`${metric} of ${series.length} ${isGrouped ? "groups" : "runs"}`}
            series={series}
            link={lane.link}
            xUnit={axes.xUnit}
            xIsWhole={axes.x === "step"}
            xName={axes.xName}
            xScale={axes.xScale}
            yScale={axes.yScale}
            zoom={axes.zoom}
            smoothing={smoothing}
            bands={b === "on"}
            onZoom={lane.zoomTo}
            onZoomBack={lane.zoomBack}
            onFull={() => !isFull && board.change({ full: metric }, { push: true })}
            onDrawn={(state) => {
              if (drawn.peek() === 0) drawn.value = state.dataDraws;
            }}
          />
        )}
        {!isTable.value && hasChart && noPositive !== "" && (
          <p class="panel-unshown" role="status">
            <span>{noPositive}</span>
          </p>
        )}
        {series.length === 0 && held.error === null && (
          <PanelEmpty
            isWaiting={!isAnswered}
            hasRuns={owners.length > 0}
            text="The drawn runs have no points here"
          />
        )}
        {held.error !== null && (
          <PanelError
            message={held.error.message}
            onRetry={() => frames.retry(question, metric)}
          />
        )}
      </div>
      <footer class="panel-foot">
        <span>
          {honesty(series, {
            bands: b === "on",
            technique: techniqueFor(series.length),
            smoothing: isTable.value ? 0 : sm,
            zoom: axes.zoom,
          })}
        </span>
        <Hidden series={series} axes={axes} />
        {namesX && <span class="panel-x">{`over ${axisText(axes)}`}</span>}
      </footer>
    </section>
  );
}

/** Which values no line shows. */
function Hidden({ series, axes }: { series: readonly ChartSeries[]; axes: ChartsAxes }) {
  const { x, xUnit, xName, xScale, yScale, zoom } = axes;
  const nonFinite = useMemo(() => nonFiniteText(series, xUnit, xName, zoom), [series, xUnit, xName, zoom]);
  const notPositive = useMemo(() => notPositiveText(series, yScale, zoom), [series, yScale, zoom]);
  const notPositiveX = useMemo(() => notPositiveXText(series, { xScale, xName }, zoom), [series, xScale, xName, zoom]);
  const withoutX = useMemo(() => withoutXText(series, { x, xName }, zoom), [series, x, xName, zoom]);
  return (
    <>
      {nonFinite !== "" && <span class="panel-warning" title={nonFinite}>{nonFinite}</span>}
      {notPositive !== "" && (
        <span class="panel-warning" title={`${notPositive}; y symmetric logarithmic shows them`}>{notPositive}</span>
      )}
      {notPositiveX !== "" && <span class="panel-warning" title={notPositiveX}>{notPositiveX}</span>}
      {withoutX !== "" && <span class="panel-warning" title={withoutX}>{withoutX}</span>}
    </>
  );
}

interface PanelValueProps {
  board: Board;
  series: readonly ChartSeries[];
  zoom: readonly [number, number] | null;
}

/** Where the line of the highlighted run, or of the only one, ends in the shown range. */
function PanelValue({ board, series, zoom }: PanelValueProps) {
  const text = useMemo(
    () =>
      computed(() => {
        const id = board.highlighted.value;
        const only = series.length === 1 ? series[0] : undefined;
        const own = series.filter((line) => line.runId === id);
        const chosen = own.length > 0 ? own : only === undefined ? [] : [only];
        const shown = chosen.map((line) => lineEnd(line, zoom)).filter((end) => end !== null);
        return {
          value: shown.map((end) => formatValue(end.value)).join("  "),
          hint: shown.map((end) => end.hint).join(" "),
        };
      }),
    [board, series, zoom],
  );
  const { value, hint } = text.value;
  return (
    <span class="panel-value" title={hint}>
      {value}
    </span>
  );
}
