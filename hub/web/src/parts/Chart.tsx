/**
 * A chart of series over steps, time or another metric.
 *
 * Draws with the engine on two canvases. Drag across to zoom in, double-click to go one zoom back,
 * `0` shows all. The cursor and the highlighted run are shared by all charts that have the same
 * `link`. Focused, the arrow keys step the cursor by bucket (left, right) and from line to line
 * (up, down), and a read-out says what is there.
 */
import { signal, useSignal, useSignalEffect, type Signal } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";

import { Chart as Engine, type ChartState } from "../engine/chart.js";
import { formatX, formatValue } from "../engine/format.js";
import type { Hit } from "../engine/hit.js";
import type { ChartSeries, Smoothing } from "../engine/lines.js";
import type { AxisUnit, ScaleKind } from "../engine/scales.js";
import { theme } from "../state/theme.js";
import { chartTheme } from "./chartTheme.js";

/** What charts side by side share. */
export interface ChartLink {
  /** x under the pointer, and the chart that it is over. */
  readonly cursor: Signal<{ readonly x: number; readonly source: object } | null>;
  /** The run that the pointer is on, in a chart or in a list beside it. */
  readonly highlighted: Signal<string | null>;
}

export function makeChartLink(highlighted: Signal<string | null> = signal(null)): ChartLink {
  return { cursor: signal(null), highlighted };
}

export interface ChartProps {
  /** What the chart shows, for screen readers. */
  label: string;
  series: readonly ChartSeries[];
  link: ChartLink;
  xUnit?: AxisUnit;
  /** What x is, in read-outs: "step". */
  xName?: string;
  xScale?: "linear" | "log";
  yScale?: ScaleKind;
  /** Shown range of x; null: all. */
  zoom?: readonly [number, number] | null;
  smoothing?: Smoothing;
  /** Draw the range between minimum and maximum around each line. */
  bands?: boolean;
  /** The user chose another range of x; null: all. Without it the chart does not zoom. */
  onZoom?: (range: readonly [number, number] | null, how: "drag" | "wheel" | "back") => void;
  /** Double click. Default: show all. */
  onZoomBack?: () => void;
  /** Enter or `f` on the focused chart. */
  onFull?: () => void;
  /** How a value of y is written in read-outs. */
  formatY?: (value: number) => string;
  /** Called after each drawing. */
  onDrawn?: (state: ChartState) => void;
}

const PLAIN: Smoothing = { halfLife: 0, unit: "x" };
const TOOLTIP_LINES = 8;
const DRAG_PIXELS = 4;
const HIGHLIGHT_PIXELS = 14;
const WHEEL_FACTOR = 1.0015;

declare global {
  interface HTMLElement {
    /** What a chart has drawn, for tests. */
    chart?: { debugState(): ChartState };
  }
}

export function Chart(props: ChartProps) {
  const root = useRef<HTMLDivElement>(null);
  const base = useRef<HTMLCanvasElement>(null);
  const overlay = useRef<HTMLCanvasElement>(null);
  const engine = useRef<Engine | null>(null);
  const readout = useSignal<Readout | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const source = useMemo(() => ({}), []);

  useLayoutEffect(() => {
    const made = new Engine({ base: base.current!, overlay: overlay.current! });
    engine.current = made;
    const element = root.current!;
    element.chart = made;
    made.onDrawn = () => {
      const state = made.debugState();
      element.dataset["drawn"] = String(state.dataDraws);
      element.dataset["technique"] = state.technique;
      latest.current.onDrawn?.(state);
    };
    const resize = () =>
      made.resize(element.clientWidth, element.clientHeight, devicePixelRatio || 1);
    const observer = new ResizeObserver(resize);
    observer.observe(element);
    resize();
    return () => {
      observer.disconnect();
      made.destroy();
      delete element.chart;
      engine.current = null;
    };
  }, []);

  const { series, xUnit = "number", xScale = "linear", yScale = "linear", zoom = null } = props;
  const { smoothing = PLAIN, bands = true, link } = props;
  const colors = theme.value;
  useLayoutEffect(() => {
    engine.current?.update({
      series,
      xUnit,
      xScale,
      yScale,
      zoom,
      smoothing,
      bands,
      theme: chartTheme(colors),
    });
  }, [series, xUnit, xScale, yScale, zoom?.[0], zoom?.[1], smoothing, bands, colors]);

  useSignalEffect(() => {
    const cursor = link.cursor.value;
    if (cursor === null) engine.current?.setCursor(null);
    else if (cursor.source !== source) engine.current?.setCursor(cursor.x);
    if (cursor?.source !== source) readout.value = null;
  });
  useSignalEffect(() => engine.current?.setHighlight(link.highlighted.value));

  const pointer = useMemo(() => makePointer(() => engine.current, latest, source, readout), []);
  const keys = useMemo(() => makeKeys(() => engine.current, latest, source, readout), []);
  useEffect(() => {
    const element = root.current!;
    // Not through Preact: only a listener that is not passive may keep the page from zooming.
    element.addEventListener("wheel", pointer.wheel, { passive: false });
    return () => {
      element.removeEventListener("wheel", pointer.wheel);
      pointer.leave();
    };
  }, []);
  return (
    <div
      ref={root}
      class="chart"
      role="group"
      aria-roledescription="chart"
      aria-label={props.label}
      tabIndex={0}
      onPointerDown={pointer.down}
      onPointerMove={pointer.move}
      onPointerUp={pointer.up}
      onPointerCancel={pointer.cancel}
      onPointerLeave={pointer.leave}
      onDblClick={pointer.back}
      onKeyDown={keys.down}
      onBlur={keys.blur}
    >
      <canvas ref={base} aria-hidden="true" />
      <canvas ref={overlay} aria-hidden="true" />
      <ReadoutBox
        readout={readout}
        xUnit={xUnit}
        xName={props.xName ?? "x"}
        formatY={props.formatY ?? formatValue}
      />
    </div>
  );
}

interface Readout {
  readonly hits: readonly Hit[];
  readonly x: number;
  /** CSS pixels in the chart. */
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly isKeyboard: boolean;
}

interface ReadoutProps {
  readout: Signal<Readout | null>;
  xUnit: AxisUnit;
  xName: string;
  formatY: (value: number) => string;
}

function ReadoutBox({ readout, xUnit, xName, formatY }: ReadoutProps) {
  const now = readout.value;
  const shown = now?.hits.slice(0, TOOLTIP_LINES) ?? [];
  const at = now === null ? "" : `${xName} ${formatX(shown[0]?.x ?? now.x, xUnit)}`;
  const isRight = now !== null && now.left > now.width / 2;
  return (
    <>
      {now !== null && shown.length > 0 && (
        <div
          class="chart-tip"
          aria-hidden="true"
          style={
            isRight ? { right: `${now.width - now.left + 14}px` } : { left: `${now.left + 14}px` }
          }
        >
          <p class="chart-tip-x">{at}</p>
          <table>
            <tbody>
              {shown.map(({ line, index, value, distance }) => (
                <tr
                  key={line.series.id}
                  class={distance <= HIGHLIGHT_PIXELS && line === shown[0]?.line ? "near" : ""}
                >
                  <td>
                    <span class="chart-dot" style={{ background: line.series.color }} />
                  </td>
                  <td class="chart-tip-name">{line.series.name}</td>
                  <td class="number">{formatY(value)}</td>
                  <td class="number fact">{spreadText(line.series.data, index, formatY)}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {now.hits.length > shown.length && (
            <p class="fact">{`${now.hits.length - shown.length} more here`}</p>
          )}
        </div>
      )}
      <p class="off-screen" aria-live="polite">
        {now?.isKeyboard === true ? spoken(at, shown, formatY) : ""}
      </p>
    </>
  );
}

/** Range of a bucket of several points, or N runs of a group. */
function spreadText(
  data: Hit["line"]["series"]["data"],
  index: number,
  formatY: (value: number) => string,
): string {
  if (data.runCount !== null) return `${data.runCount[index]} runs`;
  if (!(data.count[index]! > 1)) return "";
  const [low, high] = [formatY(data.min[index]!), formatY(data.max[index]!)];
  return low === high ? "" : `${low} … ${high}`;
}

function spoken(at: string, hits: readonly Hit[], formatY: (value: number) => string): string {
  return [at, ...hits.map((hit) => `${hit.line.series.name} ${formatY(hit.value)}`)].join(", ");
}

type Current = () => Engine | null;
type Latest = { readonly current: ChartProps };

function makePointer(
  current: Current,
  latest: Latest,
  source: object,
  readout: Signal<Readout | null>,
) {
  let startX: number | null = null;
  let dragged: readonly [number, number] | null = null;
  let frame = 0;
  let last: { x: number; y: number; width: number } | null = null;

  const show = () => {
    frame = 0;
    const engine = current();
    if (engine === null || last === null) return;
    const { link } = latest.current;
    const value = engine.valueAt(last.x);
    if (value === null || !engine.isInPlot(last.x, last.y)) return hide();
    engine.setCursor(value, last.y);
    link.cursor.value = { x: value, source };
    const hits = engine.hits();
    readout.value = {
      hits,
      x: value,
      left: last.x,
      top: last.y,
      width: last.width,
      isKeyboard: false,
    };
    const nearest = hits[0];
    link.highlighted.value =
      nearest !== undefined && nearest.distance <= HIGHLIGHT_PIXELS
        ? nearest.line.series.runId || null
        : null;
  };
  const hide = () => {
    const { link } = latest.current;
    readout.value = null;
    if (link.cursor.peek()?.source !== source) return;
    link.cursor.value = null;
    link.highlighted.value = null;
  };
  const placeOf = (event: PointerEvent | WheelEvent) => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top, width: box.width };
  };
  const endDrag = () => {
    startX = null;
    dragged = null;
    current()?.setSelection(null);
  };
  return {
    down(event: PointerEvent) {
      const place = placeOf(event);
      const canZoom =
        latest.current.onZoom !== undefined && event.pointerType === "mouse" && event.button === 0;
      if (canZoom && current()?.isInPlot(place.x, place.y) === true) {
        startX = place.x;
        (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
      }
    },
    move(event: PointerEvent) {
      last = placeOf(event);
      if (startX !== null && Math.abs(last.x - startX) > DRAG_PIXELS) {
        const [a, b] = [current()?.valueAt(startX), current()?.valueAt(last.x)];
        if (a != null && b != null) dragged = [Math.min(a, b), Math.max(a, b)];
        current()?.setSelection(dragged);
      }
      if (frame === 0) frame = requestAnimationFrame(show);
    },
    up() {
      const range = dragged;
      endDrag();
      if (range !== null && range[0] < range[1]) latest.current.onZoom?.(range, "drag");
    },
    cancel: endDrag,
    leave() {
      if (frame !== 0) cancelAnimationFrame(frame);
      frame = 0;
      last = null;
      hide();
    },
    back() {
      const { onZoomBack, onZoom } = latest.current;
      if (onZoomBack) onZoomBack();
      else onZoom?.(null, "back");
    },
    wheel(event: WheelEvent) {
      const { onZoom, xScale } = latest.current;
      const engine = current();
      const range = engine?.xRange();
      if (!event.ctrlKey || onZoom === undefined || range == null || engine == null) return;
      event.preventDefault();
      const at = engine.valueAt(placeOf(event).x);
      if (at === null) return;
      const factor = WHEEL_FACTOR ** Math.max(-300, Math.min(300, event.deltaY));
      onZoom(scaled(range, at, factor, xScale === "log"), "wheel");
    },
  };
}

/** A range widened or narrowed around a point. */
function scaled(
  range: readonly [number, number],
  at: number,
  factor: number,
  isLog: boolean,
): readonly [number, number] {
  if (isLog) return [at * (range[0] / at) ** factor, at * (range[1] / at) ** factor];
  return [at + (range[0] - at) * factor, at + (range[1] - at) * factor];
}

function makeKeys(
  current: Current,
  latest: Latest,
  source: object,
  readout: Signal<Readout | null>,
) {
  let place = 0;
  const go = (x: number | null) => {
    const engine = current();
    if (engine === null || x === null) return;
    engine.setCursor(x);
    latest.current.link.cursor.value = { x, source };
    const hits = engine.hits();
    place = Math.min(place, Math.max(0, hits.length - 1));
    const ordered = [...hits.slice(place), ...hits.slice(0, place)];
    latest.current.link.highlighted.value = ordered[0]?.line.series.runId || null;
    const box = { left: engine.pixelAt(x) ?? 0, top: 0, width: engine.cssWidth() };
    readout.value = { hits: ordered, x, ...box, isKeyboard: true };
  };
  const clear = () => {
    const { link } = latest.current;
    if (link.cursor.peek()?.source !== source) return;
    readout.value = null;
    link.cursor.value = null;
    link.highlighted.value = null;
  };
  const cursor = () => latest.current.link.cursor.peek()?.x ?? null;
  const actions: Record<string, () => void> = {
    ArrowRight: () => go(current()?.neighbour(cursor(), 1) ?? cursor()),
    ArrowLeft: () => go(current()?.neighbour(cursor(), -1) ?? cursor()),
    Home: () => go(current()?.neighbour(null, 1) ?? null),
    End: () => go(current()?.neighbour(null, -1) ?? null),
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    Escape: clear,
    Enter: () => latest.current.onFull?.(),
    f: () => latest.current.onFull?.(),
  };
  function step(by: number): void {
    const count = current()?.hits().length ?? 0;
    if (count > 0) place = (place + by + count) % count;
    go(cursor() ?? current()?.neighbour(null, 1) ?? null);
  }
  return {
    down(event: KeyboardEvent) {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target !== event.currentTarget)
        return;
      const action = actions[event.key];
      if (action === undefined) return;
      event.preventDefault();
      action();
    },
    blur: clear,
  };
}
