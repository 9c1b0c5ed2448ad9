/** Hit test: which lines are near the cursor, and their values at its x. */

import { nearestIndex } from "./buckets.js";
import type { Line } from "./lines.js";
import { toPixel, type Scale } from "./scales.js";

export interface Hit {
  readonly line: Line;
  /** Index of the nearest bucket. */
  readonly index: number;
  readonly x: number;
  readonly value: number;
  /** Pixels between cursor and line, measured up and down. */
  readonly distance: number;
}

/** How far a bucket may be from the cursor and still be read out, in pixels. */
const REACH_PIXELS = 48;

/**
 * Lines with a value near the cursor's x, nearest line first.
 *
 * Args:
 *   pixelY: null: the pointer is over another chart; the order is by value then, largest first.
 */
export function nearestLines(
  lines: readonly Line[],
  x: Scale,
  y: Scale,
  at: { value: number; pixelY: number | null },
): Hit[] {
  const cursor = toPixel(x, at.value);
  const hits: Hit[] = [];
  for (const line of lines) {
    const index = nearestFinite(line, at.value);
    if (index < 0) continue;
    const reached = Math.abs(toPixel(x, line.xs[index]!) - cursor);
    const value = line.ys[index]!;
    const inside =
      at.value >= line.series.data.firstX[0]! &&
      at.value <= line.series.data.lastX[line.xs.length - 1]!;
    if (reached > REACH_PIXELS && !inside) continue;
    const pixel = toPixel(y, interpolated(line, index, at.value));
    if (Number.isNaN(pixel)) continue;
    hits.push({
      line,
      index,
      x: line.xs[index]!,
      value,
      distance: at.pixelY === null ? 0 : Math.abs(pixel - at.pixelY),
    });
  }
  return hits.sort((a, b) => (at.pixelY === null ? b.value - a.value : a.distance - b.distance));
}

function nearestFinite(line: Line, value: number): number {
  const index = nearestIndex(line.xs, value);
  if (index < 0 || Number.isFinite(line.ys[index]!)) return index;
  for (let off = 1; off <= 4; off++) {
    for (const near of [index - off, index + off]) {
      if (near >= 0 && near < line.xs.length && Number.isFinite(line.ys[near]!)) return near;
    }
  }
  return -1;
}

/** Value of the drawn line at x, between the buckets next to it. */
function interpolated(line: Line, index: number, x: number): number {
  const value = line.ys[index]!;
  const other = line.xs[index]! < x ? index + 1 : index - 1;
  if (other < 0 || other >= line.xs.length) return value;
  const beside = line.ys[other]!;
  const between = line.xs[other]! - line.xs[index]!;
  if (!Number.isFinite(beside) || between === 0) return value;
  const t = (x - line.xs[index]!) / between;
  return t >= 0 && t <= 1 ? value + (beside - value) * t : value;
}
