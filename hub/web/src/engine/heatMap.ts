/**
 * A heat map of histograms: a column of pixels a range of steps, a row a bin. Pure.
 *
 * A cell's colour shows the share of its histogram's values that is in its bin, so histograms of
 * few and of many values look similar.
 */
import type { HistogramMatrix } from "./histogramFrames.js";

/** Where each histogram begins and ends on the axis of steps: half-way to its neighbours. */
export function stepEdges(steps: ArrayLike<number>): Float64Array {
  const count = steps.length;
  const edges = new Float64Array(count + 1);
  if (count === 0) return edges;
  for (let i = 1; i < count; i++) edges[i] = (steps[i - 1]! + steps[i]!) / 2;
  const first = count > 1 ? edges[1]! - steps[0]! : 0.5;
  const last = count > 1 ? steps[count - 1]! - edges[count - 1]! : 0.5;
  edges[0] = steps[0]! - first;
  edges[count] = steps[count - 1]! + last;
  return edges;
}

/** Index of the histogram at a place on the axis of steps; -1 beside all. */
export function histogramAt(edges: Float64Array, x: number): number {
  const count = edges.length - 1;
  if (count < 1 || !(x >= edges[0]!) || !(x <= edges[count]!)) return -1;
  let low = 0;
  let high = count - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (edges[middle]! <= x) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The largest and the smallest part, above 0, that a bin has of its histogram; 0 without any. */
export function shareRange(matrix: HistogramMatrix): { least: number; most: number } {
  let most = 0;
  let least = Infinity;
  for (let row = 0; row < matrix.length; row++) {
    const total = matrix.total[row]!;
    if (!(total > 0)) continue;
    for (let bin = 0; bin < matrix.bins; bin++) {
      const share = matrix.counts[row * matrix.bins + bin]! / total;
      if (share > most) most = share;
      if (share > 0 && share < least) least = share;
    }
  }
  return most > 0 ? { least, most } : { least: 0, most: 0 };
}

const SHADES = 256;
/** On a logarithmic scale shares below this part of the largest look alike. */
const LOG_LEAST = 1e-5;

/** Place in the shades of a share: 0 for none, 1 to 255 for others. */
export function shadeOf(share: number, most: number, isLog: boolean): number {
  if (!(share > 0) || !(most > 0)) return 0;
  const part = isLog
    ? 1 + Math.log10(Math.max(share / most, LOG_LEAST)) / -Math.log10(LOG_LEAST)
    : share / most;
  return Math.max(1, Math.min(SHADES - 1, Math.round(part * (SHADES - 1))));
}

/** Pixels, as ImageData has them, of colours from `empty` over `ramp`; each is "#rrggbb" or "#rgb". */
export function shades(empty: string, ramp: readonly string[]): Uint32Array {
  const stops = [empty, ...ramp].map(channels);
  const made = new Uint32Array(SHADES);
  for (let at = 0; at < SHADES; at++) {
    const place = (at / (SHADES - 1)) * (stops.length - 1);
    const from = Math.min(stops.length - 2, Math.floor(place));
    const [a, b] = [stops[from]!, stops[from + 1]!];
    const mix = (i: number) => Math.round(a[i]! + (b[i]! - a[i]!) * (place - from));
    made[at] = ((255 << 24) | (mix(2) << 16) | (mix(1) << 8) | mix(0)) >>> 0;
  }
  return made;
}

function channels(color: string): [number, number, number] {
  // A build shortens "#ffffff" to "#fff".
  const digits = color.length === 4 ? color.replace(/[0-9a-f]/gi, "$&$&") : color;
  const value = Number.parseInt(digits.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

export interface HeatMapPlace {
  readonly width: number;
  readonly height: number;
  /** Step at the left and at the right edge, value at the lower and at the upper one. */
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
}

/** Fill `pixels` (width × height, from the top) with the cells of the matrix. */
export function paintHeatMap(
  pixels: Uint32Array,
  matrix: HistogramMatrix,
  place: HeatMapPlace,
  colors: Uint32Array,
  isLog: boolean,
): void {
  const { width, height, x, y } = place;
  pixels.fill(colors[0]!);
  const edges = stepEdges(matrix.step);
  const { most } = shareRange(matrix);
  const binOf = new Int32Array(height);
  for (let row = 0; row < height; row++) {
    // Halves: differences of the largest numbers are beyond them.
    const half = y[1] / 2 - ((row + 0.5) / height) * (y[1] / 2 - y[0] / 2);
    const part = (half - matrix.low / 2) / (matrix.high / 2 - matrix.low / 2);
    const bin = Math.floor(part * matrix.bins);
    binOf[row] = bin >= 0 && bin < matrix.bins ? bin : -1;
  }
  const column = new Uint32Array(height);
  let drawn = -2;
  for (let left = 0; left < width; left++) {
    const at = histogramAt(edges, x[0] + ((left + 0.5) / width) * (x[1] - x[0]));
    if (at !== drawn) {
      drawn = at;
      const total = at < 0 ? 0 : matrix.total[at]!;
      for (let row = 0; row < height; row++) {
        const bin = binOf[row]!;
        const count = at < 0 || bin < 0 ? 0 : matrix.counts[at * matrix.bins + bin]!;
        column[row] = colors[shadeOf(total > 0 ? count / total : 0, most, isLog)]!;
      }
    }
    for (let row = 0; row < height; row++) pixels[row * width + left] = column[row]!;
  }
}

/** Rows of a ridge view: at most `most` histograms, evenly chosen, the last one among them. */
export function ridgeRows(count: number, most: number): number[] {
  if (count <= most) return Array.from({ length: count }, (_, at) => at);
  return Array.from({ length: most }, (_, at) =>
    Math.round((at * (count - 1)) / (most - 1)),
  );
}

/** On a logarithmic scale a bar begins at this part of the highest one. */
const HEIGHT_LOG_LEAST = 1e-4;

/** Height of a bin, 0 to 1. */
export function heightOf(share: number, most: number, isLog: boolean): number {
  if (!(share > 0) || !(most > 0)) return 0;
  if (!isLog) return share / most;
  const least = Math.log10(HEIGHT_LOG_LEAST);
  return Math.max(0, 1 - Math.log10(share / most) / least);
}
