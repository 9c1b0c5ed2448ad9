/**
 * One axis: its name, its ticks, and the range on it, which the pointer draws and keys move.
 *
 * Both ends are sliders: arrow keys move an end, Home and End take it to an end of the axis, Escape
 * frees the axis.
 */
import { useRef } from "preact/hooks";

import { axisText, type Axis } from "./axes.js";
import { brushAfterKey, brushBetween, endsOf, placesOfBrush, type Brush, type BrushEnd } from "./brushes.js";

export const PLOT_HEIGHT = 240;
const DRAG_PIXELS = 3;
/** So near to an end the end is what is dragged. */
const GRIP_PIXELS = 7;

interface ParallelAxisProps {
  axis: Axis;
  /** CSS pixels from the left. */
  x: number;
  width: number;
  brush: Brush | undefined;
  onBrush(brush: Brush | null): void;
}

/** What a drag keeps: the place that stays, or both with the place where it began. */
type Drag = { from: number; start: number } | { low: number; high: number; start: number };

export function ParallelAxis({ axis, x, width, brush, onBrush }: ParallelAxisProps) {
  const strip = useRef<HTMLDivElement>(null);
  const drag = useRef<(Drag & { hasMoved: boolean }) | null>(null);
  const [low, high] = placesOfBrush(axis, brush);
  const placeOf = (event: PointerEvent) => {
    const box = strip.current!.getBoundingClientRect();
    return Math.min(1, Math.max(0, 1 - (event.clientY - box.top) / box.height));
  };
  const down = (event: PointerEvent) => {
    if (event.button !== 0) return;
    const start = placeOf(event);
    drag.current = { ...dragAt(start, brush === undefined ? null : [low, high]), hasMoved: false };
    strip.current!.setPointerCapture(event.pointerId);
  };
  const move = (event: PointerEvent) => {
    const held = drag.current;
    if (held === null) return;
    event.stopPropagation();
    const place = placeOf(event);
    if (!held.hasMoved && Math.abs(place - held.start) * PLOT_HEIGHT < DRAG_PIXELS) return;
    held.hasMoved = true;
    if ("from" in held) return onBrush(brushBetween(axis, held.from, place));
    const by = Math.min(1 - held.high, Math.max(-held.low, place - held.start));
    onBrush(brushBetween(axis, held.low + by, held.high + by));
  };
  const up = (event: PointerEvent) => {
    const held = drag.current;
    drag.current = null;
    if (held === null || held.hasMoved) return;
    const place = placeOf(event);
    const isClickOnCategory = axis.categories !== null && brush === undefined;
    onBrush(isClickOnCategory ? brushBetween(axis, place, place) : null);
  };
  return (
    <div class="parallel-axis" role="group" aria-label={axis.title} style={{ left: `${x - width / 2}px`, width: `${width}px` }}>
      <p class="parallel-title" title={axis.title}>{axis.title}</p>
      <div
        ref={strip}
        class="parallel-strip"
        onPointerDown={down}
        onPointerMove={move}
        onPointerUp={up}
        onPointerCancel={() => (drag.current = null)}
      >
        {brush !== undefined && <span class="parallel-range" style={{ bottom: percent(low), height: percent(high - low) }} />}
        {(["low", "high"] as const).map((end) => (
          <Thumb key={end} axis={axis} brush={brush} end={end} place={end === "low" ? low : high} onBrush={onBrush} />
        ))}
      </div>
      <div class="parallel-ticks" aria-hidden="true">
        {axis.ticks.map(({ place, label }) => (
          <span key={place} style={{ bottom: percent(place) }}>{label}</span>
        ))}
      </div>
    </div>
  );
}

interface ThumbProps {
  axis: Axis;
  brush: Brush | undefined;
  end: BrushEnd;
  place: number;
  onBrush(brush: Brush | null): void;
}

function Thumb({ axis, brush, end, place, onBrush }: ThumbProps) {
  const ends = endsOf(axis, brush);
  const [lowest, highest] = endsOf(axis, undefined);
  const value = end === "low" ? ends[0] : ends[1];
  const key = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const next = brushAfterKey(axis, brush, end, event.key);
    if (next === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    onBrush(next);
  };
  return (
    <span
      class={`parallel-thumb ${end} ${brush === undefined ? "" : "on"}`}
      role="slider"
      tabIndex={0}
      aria-orientation="vertical"
      aria-label={`${axis.title}, ${end === "low" ? "lowest" : "highest"}`}
      aria-valuemin={lowest}
      aria-valuemax={highest}
      aria-valuenow={value}
      aria-valuetext={axisText(axis, value)}
      style={{ bottom: percent(place) }}
      onKeyDown={key}
    />
  );
}

function dragAt(start: number, range: readonly [number, number] | null): Drag {
  if (range === null) return { from: start, start };
  const [low, high] = range;
  const grip = GRIP_PIXELS / PLOT_HEIGHT;
  if (Math.abs(start - high) <= grip) return { from: low, start };
  if (Math.abs(start - low) <= grip) return { from: high, start };
  return start > low && start < high ? { low, high, start } : { from: start, start };
}

function percent(place: number): string {
  return `${100 * place}%`;
}
