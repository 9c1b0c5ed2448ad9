/** Brushes: ranges on axes, the trials that lie in all of them, and their text in the address. Pure. */
import { toPixel, toValue } from "../../engine/scales.js";
import type { Axis } from "./axes.js";

/** Lowest and highest value that count; of categories their indices. */
export type Brush = readonly [low: number, high: number];
/** By the axis's key. */
export type Brushes = ReadonlyMap<string, Brush>;
export type BrushEnd = "low" | "high";

/** Part of the axis that a key moves an end by. */
const STEP = 0.02;
const STEPS_BIG = 5;
const DIGITS = 5;

/** `params.lr:0.001..0.1`; what cannot be read is left out. */
export function parseBrushes(texts: readonly string[]): Brushes {
  const found = new Map<string, Brush>();
  for (const text of texts) {
    const colon = text.lastIndexOf(":");
    const sides = text.slice(colon + 1).split("..");
    const [low, high] = sides.map(Number);
    const isRange = sides.length === 2 && sides.every((side) => side.trim() !== "") && low! <= high!;
    if (colon > 0 && isRange) found.set(text.slice(0, colon), [low!, high!]);
  }
  return found;
}

export function formatBrushes(brushes: Brushes): string[] {
  return [...brushes].map(([key, [low, high]]) => `${key}:${low}..${high}`);
}

export function withBrush(brushes: Brushes, key: string, brush: Brush | null): Brushes {
  const next = new Map(brushes);
  next.delete(key);
  if (brush !== null) next.set(key, brush);
  return next;
}

/** By trial: 1 where it lies in all ranges. Ranges of axes that are not there do not count. */
export function trialsWithin(axes: readonly Axis[], brushes: Brushes, count: number): Uint8Array {
  const isIn = new Uint8Array(count).fill(1);
  for (const axis of axes) {
    const brush = brushes.get(axis.key);
    if (brush === undefined) continue;
    const [low, high] = brush;
    for (let index = 0; index < count; index++) {
      const value = axis.values[index]!;
      if (!(value >= low && value <= high)) isIn[index] = 0;
    }
  }
  return isIn;
}

/** The range between two places of an axis; null: it is the whole axis. */
export function brushBetween(axis: Axis, a: number, b: number): Brush | null {
  const [from, to] = [Math.max(0, Math.min(a, b)), Math.min(1, Math.max(a, b))];
  if (from <= 0 && to >= 1) return null;
  let [low, high] = [toValue(axis.scale, from), toValue(axis.scale, to)];
  if (axis.scale.isWhole) {
    const middle = Math.round((low + high) / 2);
    [low, high] = [Math.ceil(low) + 0, Math.floor(high)];
    if (low > high) [low, high] = [middle, middle];
    return isWhole(axis, low, high) ? null : [low, high];
  }
  // An end of the axis stays exact: rounded, it could leave out the trial that lies there.
  return [from <= 0 ? axis.scale.low : rounded(low), to >= 1 ? axis.scale.high : rounded(high)];
}

/** The places of a range, inside the axis. */
export function placesOfBrush(axis: Axis, brush: Brush | undefined): [number, number] {
  if (brush === undefined) return [0, 1];
  const half = axis.categories === null ? 0 : 0.5;
  const [low, high] = [toPixel(axis.scale, brush[0] - half), toPixel(axis.scale, brush[1] + half)];
  return [inside(low, 0), inside(high, 1)];
}

/** What a range's ends are, also where there is none. */
export function endsOf(axis: Axis, brush: Brush | undefined): Brush {
  if (brush !== undefined) return brush;
  const { low, high } = axis.scale;
  // Adding 0 makes 0 of -0.
  return axis.scale.isWhole ? [Math.ceil(low) + 0, Math.floor(high)] : [low, high];
}

/** The range after a key on one of its ends; undefined: the key means nothing here. */
export function brushAfterKey(axis: Axis, brush: Brush | undefined, end: BrushEnd, key: string): Brush | null | undefined {
  if (key === "Escape" || key === "Delete" || key === "Backspace") return null;
  const steps = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: STEPS_BIG, PageDown: -STEPS_BIG }[key];
  const [low, high] = endsOf(axis, brush);
  const [lowest, highest] = endsOf(axis, undefined);
  const at = end === "low" ? low : high;
  let moved: number;
  if (key === "Home") moved = end === "low" ? lowest : low;
  else if (key === "End") moved = end === "low" ? high : highest;
  else if (steps === undefined) return undefined;
  else moved = stepped(axis, at, steps);
  moved = Math.min(highest, Math.max(lowest, moved));
  const next: Brush = end === "low" ? [Math.min(moved, high), high] : [low, Math.max(moved, low)];
  return next[0] <= lowest && next[1] >= highest ? null : next;
}

function stepped(axis: Axis, value: number, steps: number): number {
  const { scale } = axis;
  const moved = toValue(scale, toPixel(scale, value) + steps * STEP);
  if (!scale.isWhole) return rounded(moved);
  const whole = Math.round(moved);
  return axis.categories !== null || whole === value ? value + Math.sign(steps) : whole;
}

function isWhole(axis: Axis, low: number, high: number): boolean {
  const [lowest, highest] = endsOf(axis, undefined);
  return low <= lowest && high >= highest;
}

function inside(place: number, otherwise: number): number {
  return Number.isNaN(place) ? otherwise : Math.min(1, Math.max(0, place));
}

function rounded(value: number): number {
  return Number(value.toPrecision(DIGITS));
}
