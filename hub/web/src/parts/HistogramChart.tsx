/**
 * A chart of histograms over steps, with the single histogram at the cursor.
 *
 * Focused, the arrow keys go from step to step, Home and End to the first and the last, and the
 * read-out says what is there. The cursor's step is shared with charts of the same `link`.
 */
import { useSignal, useSignalEffect, type Signal } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";

import { formatX } from "../engine/format.js";
import { HistogramChart as Engine, type HistogramMode } from "../engine/histogramChart.js";
import type { HistogramState } from "../engine/histogramChart.js";
import { BARS_HEIGHT, BARS_WIDTH, barsPath, histogramFacts } from "../engine/histogramFacts.js";
import type { HistogramMatrix } from "../engine/histogramFrames.js";
import { theme } from "../state/theme.js";
import type { ChartLink } from "./chartProps.js";
import { chartTheme } from "./chartTheme.js";
import { followSize } from "./followSize.js";

interface HistogramChartProps {
  /** What the chart shows, for screen readers. */
  label: string;
  matrix: HistogramMatrix;
  mode: HistogramMode;
  isLog: boolean;
  /** null: the charts beside have another axis. */
  link: ChartLink | null;
  onFull?: () => void;
  onDrawn?: () => void;
}

interface Cursor {
  readonly index: number;
  readonly isKeyboard: boolean;
}

declare global {
  interface HTMLElement {
    /** What a chart of histograms has drawn, for tests. */
    histograms?: { debugState(): HistogramState };
  }
}

export function HistogramChart(props: HistogramChartProps) {
  const { matrix, mode, isLog, link } = props;
  const root = useRef<HTMLDivElement>(null);
  const base = useRef<HTMLCanvasElement>(null);
  const overlay = useRef<HTMLCanvasElement>(null);
  const engine = useRef<Engine | null>(null);
  const cursor = useSignal<Cursor | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const source = useMemo(() => ({}), []);
  const colors = theme.value;

  useLayoutEffect(() => {
    const made = (engine.current = new Engine(base.current!, overlay.current!));
    const element = root.current!;
    element.histograms = made;
    made.onDrawn = () => latest.current.onDrawn?.();
    const unfollow = followSize(element, made);
    return () => {
      unfollow();
      made.destroy();
      delete element.histograms;
      engine.current = null;
    };
  }, []);
  useLayoutEffect(() => {
    engine.current?.update({ matrix, mode, isLog, theme: chartTheme(colors) });
    const index = cursor.peek()?.index ?? 0;
    if (index >= matrix.length) cursor.value = null;
  }, [matrix, mode, isLog, colors]);
  useSignalEffect(() => engine.current?.setCursor(cursor.value?.index ?? null));
  useSignalEffect(() => {
    const shared = link?.cursor.value ?? null;
    if (shared?.source === source) return;
    const index = shared === null ? null : (engine.current?.indexOfStep(shared.x) ?? null);
    engine.current?.setCursor(index);
    cursor.value = null;
  });

  const go = (index: number | null, isKeyboard: boolean) => {
    if (index === null) return leave();
    const { matrix: held, link: shared } = latest.current;
    cursor.value = { index, isKeyboard };
    engine.current?.setCursor(index);
    if (shared !== null) shared.cursor.value = { x: held.step[index]!, source };
  };
  const leave = () => {
    cursor.value = null;
    const { link: shared } = latest.current;
    if (shared?.cursor.peek()?.source === source) shared.cursor.value = null;
  };
  useEffect(() => leave, []);
  const point = (event: PointerEvent) => {
    const box = root.current!.getBoundingClientRect();
    go(
      engine.current?.indexAt(event.clientX - box.left, event.clientY - box.top) ?? null,
      false,
    );
  };
  const keys = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = matrix.length - 1;
    const at = cursor.peek()?.index ?? null;
    const places: Record<string, () => number> = {
      ArrowRight: () => Math.min(last, at === null ? 0 : at + 1),
      ArrowLeft: () => Math.max(0, at === null ? last : at - 1),
      Home: () => 0,
      End: () => last,
    };
    const place = places[event.key];
    if (place !== undefined && last >= 0) go(place(), true);
    else if (event.key === "Escape") leave();
    else if (event.key === "Enter" || event.key === "f") props.onFull?.();
    else return;
    event.preventDefault();
  };
  return (
    <div
      ref={root}
      class="chart"
      role="group"
      aria-roledescription="chart"
      aria-label={props.label}
      tabIndex={0}
      onPointerDown={point}
      onPointerMove={point}
      onPointerLeave={(event) => event.pointerType !== "touch" && leave()}
      onKeyDown={keys}
      onBlur={leave}
    >
      <canvas ref={base} aria-hidden="true" />
      <canvas ref={overlay} aria-hidden="true" />
      <HistogramReadout cursor={cursor} matrix={matrix} isLog={isLog} engine={engine} />
    </div>
  );
}

interface HistogramReadoutProps {
  cursor: Signal<Cursor | null>;
  matrix: HistogramMatrix;
  isLog: boolean;
  engine: { readonly current: Engine | null };
}

function HistogramReadout({ cursor, matrix, isLog, engine }: HistogramReadoutProps) {
  const now = cursor.value;
  if (now === null || now.index >= matrix.length)
    return <p class="off-screen" aria-live="polite" />;
  const { index } = now;
  const facts = histogramFacts(matrix, index);
  const isRight = (engine.current?.pixelOf(index) ?? 0) > BARS_WIDTH + 60;
  return (
    <>
      <div
        class="chart-tip histogram-tip"
        aria-hidden="true"
        style={isRight ? { left: "8px" } : { right: "8px" }}
      >
        <p class="chart-tip-x">{`step ${formatX(matrix.step[index]!, "number")}`}</p>
        <svg viewBox={`0 0 ${BARS_WIDTH} ${BARS_HEIGHT}`} width={BARS_WIDTH} height={BARS_HEIGHT}>
          <path d={barsPath(matrix, index, isLog)} />
        </svg>
        {facts.map((fact) => (
          <p key={fact} class="fact">
            {fact}
          </p>
        ))}
      </div>
      <p class="off-screen" aria-live="polite">
        {now.isKeyboard
          ? [`step ${formatX(matrix.step[index]!, "number")}`, ...facts].join(", ")
          : ""}
      </p>
    </>
  );
}
