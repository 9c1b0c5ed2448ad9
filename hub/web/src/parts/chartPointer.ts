/** What the pointer does on a chart: read, highlight, zoom. */
import type { Signal } from "@preact/signals";

import type { ChartProps } from "./chartProps.js";
import { HIGHLIGHT_PIXELS, type Readout } from "./ChartReadout.js";
import type { Chart as Engine } from "../engine/chart.js";

const DRAG_PIXELS = 4;
const WHEEL_FACTOR = 1.0015;

type Current = () => Engine | null;
type Latest = { readonly current: ChartProps };

export function makePointer(
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
  const showSoon = () => {
    if (frame === 0) frame = requestAnimationFrame(show);
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
      const place = (last = placeOf(event));
      // A tap moves nothing, and is read all the same.
      showSoon();
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
      showSoon();
    },
    up() {
      const range = dragged;
      endDrag();
      if (range !== null && range[0] < range[1]) latest.current.onZoom?.(range, "drag");
    },
    cancel: endDrag,
    leave(event?: PointerEvent) {
      // A finger leaves whenever it is lifted: what it read stays until the next touch.
      if (event?.pointerType === "touch") return;
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
