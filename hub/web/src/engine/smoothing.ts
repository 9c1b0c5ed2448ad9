/**
 * Smoothing that depends neither on the zoom nor on the buckets' width.
 *
 * The exponential moving average is defined over the points: every point weighs
 * 0.5 ** (distance / half-life), and the weights are normalised, which removes the bias of the
 * start. A bucket carries its count and the x of its first and last point, so its points enter
 * with their own weights (as if they were evenly spaced), not as one point. On steps with one point
 * each this is s = a**n * s + (1 - a**n) * mean, w = a**n * w, y = s / (1 - w).
 */

import type { BucketSeries } from "./frames.js";

/** Per-point weight (TensorBoard's slider, 0 to 1) as a half-life in points. */
export function halfLifeOfWeight(weight: number): number {
  if (!(weight > 0)) return 0;
  return Math.log(0.5) / Math.log(Math.min(weight, 0.999999));
}

interface State {
  sum: number;
  weight: number;
  lastX: number;
}

/**
 * Smoothed mean at the end of each bucket; NaN where a bucket has no finite point.
 *
 * Args:
 *   halfLife: in the unit of x (steps), or in points when `unit` is 'points': on axes of time.
 *   before: a coarser series whose buckets before the first one of `series` warm the average up.
 */
export function smooth(
  series: BucketSeries,
  halfLife: number,
  unit: "x" | "points" = "x",
  before: BucketSeries | null = null,
): Float64Array {
  const out = new Float64Array(series.length);
  const state: State = { sum: 0, weight: 0, lastX: Number.NaN };
  if (before !== null && series.length > 0) {
    const start = series.firstX[0]!;
    for (let i = 0; i < before.length && before.lastX[i]! < start; i++)
      step(state, before, i, halfLife, unit);
  }
  for (let i = 0; i < series.length; i++) out[i] = step(state, series, i, halfLife, unit);
  return out;
}

function nonFiniteCount(series: BucketSeries, i: number): number {
  const { nan, positiveInf, negativeInf } = series;
  return (nan?.[i] ?? 0) + (positiveInf?.[i] ?? 0) + (negativeInf?.[i] ?? 0);
}

function step(
  state: State,
  series: BucketSeries,
  i: number,
  halfLife: number,
  unit: "x" | "points",
): number {
  const mean = series.mean[i]!;
  const count = series.count[i]! - nonFiniteCount(series, i);
  if (!Number.isFinite(mean) || !(count > 0)) return Number.NaN;
  const first = series.firstX[i]!;
  const last = series.lastX[i]!;
  let spacing: number;
  let passed: number;
  if (unit === "points") {
    spacing = 1;
    passed = count;
  } else {
    spacing = count > 1 ? (last - first) / (count - 1) : 0;
    passed = Number.isNaN(state.lastX) ? 0 : last - state.lastX;
  }
  const ratio = 0.5 ** (spacing / halfLife);
  // Sum of ratio**j for the bucket's points; ratio 1 (points at one x) makes them weigh alike.
  const inside = ratio < 1 ? -Math.expm1(count * Math.log(ratio)) / (1 - ratio) : count;
  const decay = 0.5 ** (passed / halfLife);
  state.sum = state.sum * decay + mean * inside;
  state.weight = state.weight * decay + inside;
  state.lastX = last;
  return state.sum / state.weight;
}
