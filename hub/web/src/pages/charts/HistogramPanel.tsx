/** A panel of histograms: one metric of one of the drawn runs, over its steps. */
import { useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { formatCount, formatValue, formatX } from "../../engine/format.js";
import { matrixText } from "../../engine/histogramFacts.js";
import type { HistogramMatrix } from "../../engine/histogramFrames.js";
import { HistogramChart } from "../../parts/HistogramChart.js";
import { Icon } from "../../parts/Icon.js";
import { makeHistogramAsker } from "../../state/histograms.js";
import type { Board } from "./board.js";
import { FullButton, PanelEmpty, PanelError, PanelTitle, TableButton } from "./panelParts.js";

interface HistogramPanelProps {
  board: Board;
  metric: string;
  hasChart: boolean;
  isFull?: boolean;
}

const BINS = 64;
const FULL_BINS = 128;
/** A histogram is drawn at least so many device pixels wide. */
const PIXELS_LEAST = 3;
const ROWS_LIMITS = [32, 512] as const;
/** Runs that are tried, one after the other, for histograms of this metric. */
const RUNS_TRIED = 12;

export function HistogramPanel({ board, metric, hasChart, isFull = false }: HistogramPanelProps) {
  const { hm, hl } = board.values.value;
  const axes = board.main.axes.value;
  const runs = board.runs.value;
  const chosen = useSignal<string | null>(null);
  const tried = useSignal(0);
  const label = useSignal<string | null>(null);
  const isTable = useSignal(false);
  const drawn = useSignal(0);
  const asker = useMemo(() => makeHistogramAsker(), []);
  useEffect(() => asker.close, [asker]);
  useEffect(() => board.mount(metric), [board, metric]);

  const isOnSteps = axes.x === "step";
  const run =
    runs.find(({ run_id }) => run_id === chosen.value) ?? runs[Math.min(tried.value, runs.length - 1)];
  const pixels = (isFull ? board.fullPixels : board.plotPixels).value;
  const fitting = Math.floor(pixels / PIXELS_LEAST / 32) * 32;
  const rows = Math.max(ROWS_LIMITS[0], Math.min(ROWS_LIMITS[1], fitting));
  const zoom = isOnSteps ? axes.zoom : null;
  const runId = run?.run_id;
  useEffect(() => {
    if (runId === undefined) return;
    asker.show({
      project: board.project,
      runId,
      metric,
      label: label.value,
      first: zoom === null ? null : Math.floor(zoom[0]),
      last: zoom === null ? null : Math.ceil(zoom[1]),
      rows,
      bins: isFull ? FULL_BINS : BINS,
    });
  }, [board, runId, metric, label.value, zoom?.[0], zoom?.[1], rows, isFull]);
  useSignalEffect(() => {
    for (const news of board.news.value)
      if (news.run_id === runId && news.metric === metric) asker.changed(news.version);
  });
  useSignalEffect(() => {
    if (board.missed.value > 0) asker.changed(Infinity);
  });

  const matrix = asker.matrix.value;
  const error = asker.error.value;
  // Of several runs the first that has some is shown.
  useEffect(() => {
    const isBare = matrix !== null && matrix.version === 0 && chosen.value === null;
    if (isBare && tried.value + 1 < Math.min(runs.length, RUNS_TRIED)) tried.value++;
  }, [matrix]);
  const hasRows = matrix !== null && matrix.length > 0;
  const isReady = error === null && matrix !== null && (!hasRows || !hasChart || drawn.value > 0);
  return (
    <section
      class={isFull ? "panel full" : "panel"}
      role="group"
      aria-label={metric}
      data-metric={metric}
      data-kind="histograms"
      data-ready={isReady ? "true" : "false"}
      data-rows={matrix?.length ?? 0}
    >
      <header class="panel-head">
        <PanelTitle metric={metric} />
        {runs.length > 1 && (
          <select
            class="panel-choice"
            aria-label={`Run of ${metric}`}
            value={runId}
            onChange={(event) => {
              chosen.value = event.currentTarget.value;
              label.value = null;
            }}
          >
            {runs.map(({ run_id, name }) => (
              <option key={run_id} value={run_id}>
                {name || run_id}
              </option>
            ))}
          </select>
        )}
        {matrix !== null && matrix.labels.length > 1 && (
          <select
            class="panel-choice"
            aria-label={`Writer of ${metric}`}
            value={matrix.label}
            onChange={(event) => (label.value = event.currentTarget.value)}
          >
            {matrix.labels.map((each) => (
              <option key={each} value={each}>
                {each || "main"}
              </option>
            ))}
          </select>
        )}
        <button
          type="button"
          class="quiet small panel-action"
          aria-pressed={hm === "ridge"}
          aria-label={`${metric} as ridges`}
          title="Ridges"
          onClick={() => board.change({ hm: hm === "ridge" ? "heat" : "ridge" })}
        >
          <Icon name="ridge" />
        </button>
        <button
          type="button"
          class="quiet small panel-action panel-word"
          aria-pressed={hl}
          aria-label={`${metric}, log scale`}
          title="Logarithmic scale of counts"
          onClick={() => board.change({ hl: !hl })}
        >
          log
        </button>
        <TableButton metric={metric} isTable={isTable} />
        {!isFull && <FullButton metric={metric} board={board} />}
      </header>
      <div class="panel-body">
        {hasRows && isTable.value && <HistogramTable matrix={matrix} />}
        {hasRows && !isTable.value && hasChart && (
          <HistogramChart
            label={`${metric}, ${matrix.length} histograms of ${run?.name ?? ""}`}
            matrix={matrix}
            mode={hm}
            isLog={hl}
            link={isOnSteps ? board.main.link : null}
            onFull={() => !isFull && board.change({ full: metric }, { push: true })}
            onDrawn={() => drawn.value === 0 && drawn.value++}
          />
        )}
        {!hasRows && error === null && (
          <PanelEmpty
            isWaiting={matrix === null}
            hasRuns={runs.length > 0}
            text="This run has no histograms here"
          />
        )}
        {error !== null && <PanelError message={error.message} onRetry={asker.retry} />}
      </div>
      <footer class="panel-foot">
        <span>{matrix === null ? "" : matrixText(matrix)}</span>
        {matrix !== null && <OddCounts matrix={matrix} />}
      </footer>
    </section>
  );
}

function OddCounts({ matrix }: { matrix: HistogramMatrix }) {
  let count = 0;
  for (const counts of [matrix.nan, matrix.positiveInf, matrix.negativeInf])
    if (counts !== null) for (const each of counts) count += each;
  if (count === 0) return null;
  return <span class="panel-warning">{`${formatCount(count)} not finite`}</span>;
}

function HistogramTable({ matrix }: { matrix: HistogramMatrix }) {
  return (
    <div class="chart-table" tabIndex={0} role="group" aria-label="Histograms">
      <table class="rows">
        <thead>
          <tr>
            <th scope="col">step</th>
            {["values", "lowest", "highest", "not finite"].map((name) => (
              <th key={name} scope="col" class="number">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {[...matrix.step.keys()].map((at) => (
            <tr key={at}>
              <th scope="row">{formatX(matrix.step[at]!, "number")}</th>
              <td class="number">{Math.round(matrix.total[at]!)}</td>
              <td class="number">{formatValue(matrix.ownLow[at]!)}</td>
              <td class="number">{formatValue(matrix.ownHigh[at]!)}</td>
              <td class="number">
                {(matrix.nan?.[at] ?? 0) +
                  (matrix.positiveInf?.[at] ?? 0) +
                  (matrix.negativeInf?.[at] ?? 0)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
