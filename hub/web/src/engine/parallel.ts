/**
 * Parallel coordinates: upright axes side by side, and a line through all of them for each item.
 *
 * An item's place on an axis is 0 at the bottom to 1 at the top, NaN where it has none: its line
 * has a gap there. Few lines are stroked, many go through the rasteriser.
 */
import type { ChartTheme } from "./theme.js";
import { packColor, Raster } from "./raster.js";

export interface ParallelLines {
  /** By axis, then by item. */
  readonly places: readonly Float32Array[];
  /** "#rrggbb" by item. */
  readonly colors: readonly string[];
  /** Items as they are drawn; the last one lies on top. */
  readonly order: Uint32Array;
  /** By item: 0 is drawn pale, below all others, and is not hit. */
  readonly isOn: Uint8Array;
}

/** All in device pixels. */
export interface ParallelLayout {
  readonly width: number;
  readonly height: number;
  readonly ratio: number;
  /** Ascending, one an axis. */
  readonly xs: Float32Array;
}

/** Strokes are smoother; beyond so many lines the rasteriser is several times faster. */
const STROKES_MAX = 150;
const THICK_MAX = 40;

let heights = new Float32Array(16);

/** Draws axes and lines. The context's canvas is as large as the layout. */
export function drawParallel(
  context: CanvasRenderingContext2D,
  layout: ParallelLayout,
  lines: ParallelLines,
  theme: ChartTheme,
): void {
  const { width, height } = layout;
  context.clearRect(0, 0, width, height);
  if (width <= 0 || height <= 0) return;
  const { order, isOn, colors } = lines;
  if (order.length > STROKES_MAX) {
    const image = context.createImageData(width, height);
    const raster = new Raster(new Uint32Array(image.data.buffer), width, height);
    const pale = packColor(theme.grid);
    for (const item of order) if (isOn[item] === 0) rasterLine(raster, layout, lines, item, pale);
    for (const item of order)
      if (isOn[item] !== 0) rasterLine(raster, layout, lines, item, packColor(colors[item]!));
    context.putImageData(image, 0, 0);
  } else {
    const thickness = order.length <= THICK_MAX ? 1.5 : 1;
    for (const item of order)
      if (isOn[item] === 0) strokeParallel(context, layout, lines, item, theme.grid, 1);
    for (const item of order)
      if (isOn[item] !== 0) strokeParallel(context, layout, lines, item, colors[item]!, thickness);
  }
  drawAxes(context, layout, theme);
}

/** Strokes one line; thickness in CSS pixels. */
export function strokeParallel(
  context: CanvasRenderingContext2D,
  layout: ParallelLayout,
  lines: ParallelLines,
  item: number,
  color: string,
  thickness: number,
): void {
  const { xs, ratio } = layout;
  const ys = project(layout, lines, item);
  context.strokeStyle = context.fillStyle = color;
  context.lineWidth = thickness * ratio;
  context.lineJoin = "round";
  context.beginPath();
  for (let axis = 0; axis < xs.length; axis++) {
    const y = ys[axis]!;
    if (Number.isNaN(y)) continue;
    const isJoined = axis > 0 && !Number.isNaN(ys[axis - 1]!);
    const isAlone = !isJoined && !(axis + 1 < xs.length && !Number.isNaN(ys[axis + 1]!));
    if (isAlone) context.fillRect(xs[axis]! - 2 * ratio, y - 2 * ratio, 4 * ratio, 4 * ratio);
    else if (isJoined) context.lineTo(xs[axis]!, y);
    else context.moveTo(xs[axis]!, y);
  }
  context.stroke();
}

/** The line that is drawn nearest to a point, with their distance in device pixels; or null. */
export function nearestParallel(
  layout: ParallelLayout,
  lines: ParallelLines,
  x: number,
  y: number,
): { item: number; distance: number } | null {
  const { xs, height } = layout;
  const beyond = xs.findIndex((each) => each > x);
  const right = beyond < 0 ? xs.length - 1 : Math.max(1, beyond);
  const before = lines.places[right - 1];
  const after = lines.places[right];
  if (before === undefined || after === undefined || x < xs[0]! || x > xs.at(-1)!) return null;
  const part = (x - xs[right - 1]!) / (xs[right]! - xs[right - 1]!);
  let best: { item: number; distance: number } | null = null;
  for (const item of lines.order) {
    if (lines.isOn[item] === 0) continue;
    const [low, high] = [before[item]!, after[item]!];
    const distance = Math.abs(height * (1 - (low + (high - low) * part)) - y);
    // Of lines that lie on each other the upper one is meant. NaN is never nearer.
    if (distance <= (best?.distance ?? Infinity)) best = { item, distance };
  }
  return best;
}

function rasterLine(
  raster: Raster,
  layout: ParallelLayout,
  lines: ParallelLines,
  item: number,
  color: number,
): void {
  raster.line(layout.xs, project(layout, lines, item), layout.xs.length, color);
}

/** Device pixels from the top, in an array that the next call uses again. */
function project({ height, xs }: ParallelLayout, { places }: ParallelLines, item: number): Float32Array {
  if (heights.length < xs.length) heights = new Float32Array(2 * xs.length);
  for (let axis = 0; axis < xs.length; axis++)
    // The line at the very bottom is in the picture too.
    heights[axis] = Math.min(height - 1, height * (1 - places[axis]![item]!));
  return heights;
}

function drawAxes(context: CanvasRenderingContext2D, layout: ParallelLayout, theme: ChartTheme): void {
  context.strokeStyle = theme.ink3;
  context.lineWidth = 1;
  context.beginPath();
  for (const x of layout.xs) {
    const at = Math.round(x) + 0.5;
    context.moveTo(at, 0);
    context.lineTo(at, layout.height);
  }
  context.stroke();
}

/** A colour of a ramp of "#rrggbb", for 0 to 1. */
export function rampColor(stops: readonly string[], place: number): string {
  const at = Math.min(1, Math.max(0, place)) * (stops.length - 1);
  const below = Math.min(stops.length - 2, Math.floor(at));
  const [from, to] = [stops[below]!, stops[below + 1]!].map((hex) => Number.parseInt(hex.slice(1, 7), 16));
  const mix = (shift: number) => {
    const [a, b] = [(from! >> shift) & 255, (to! >> shift) & 255];
    return Math.round(a + (b - a) * (at - below)) << shift;
  };
  return `#${(mix(16) | mix(8) | mix(0)).toString(16).padStart(6, "0")}`;
}
