/** Lines: what a chart draws of a series, prepared once and kept while the series is the same. */

import { gapsBefore, lowerBound, positions } from "./buckets.js";
import type { BucketSeries, Column } from "./frames.js";
import { smooth } from "./smoothing.js";

export interface ChartSeries {
  /** Unique in the chart. */
  readonly id: string;
  /** The run to highlight with the line; '' for a group. */
  readonly runId: string;
  readonly name: string;
  /** "#rrggbb". */
  readonly color: string;
  readonly data: BucketSeries;
  /** A coarser series that reaches further back; warms the smoothing up. */
  readonly before?: BucketSeries | null;
}

export interface Smoothing {
  /** 0: none. */
  readonly halfLife: number;
  readonly unit: "x" | "points";
}

export interface Line {
  readonly series: ChartSeries;
  readonly xs: Float64Array;
  readonly ys: ArrayLike<number>;
  readonly low: Column;
  readonly high: Column;
  /** 1 where no line joins a bucket to its predecessor. */
  readonly gaps: Uint8Array | null;
}

interface Prepared {
  gaps: Uint8Array | null;
  low: Column;
  high: Column;
  key: string;
  before: BucketSeries | null;
  ys: ArrayLike<number>;
}

const preparedOf = new WeakMap<BucketSeries, Prepared>();

export function prepareLine(series: ChartSeries, smoothing: Smoothing): Line {
  const { data } = series;
  const xs = positions(data);
  const key = smoothing.halfLife > 0 ? `${smoothing.halfLife} ${smoothing.unit}` : "";
  const before = key === "" ? null : (series.before ?? null);
  let prepared = preparedOf.get(data);
  if (prepared === undefined || prepared.key !== key || prepared.before !== before) {
    prepared = {
      ...(prepared ?? { gaps: gapsBefore(xs), ...spread(data) }),
      key,
      before,
      ys: key === "" ? data.mean : smooth(data, smoothing.halfLife, smoothing.unit, before),
    };
    preparedOf.set(data, prepared);
  }
  return {
    series,
    xs,
    ys: prepared.ys,
    low: prepared.low,
    high: prepared.high,
    gaps: prepared.gaps,
  };
}

/** Edges of the band: minimum and maximum, for a group one standard deviation around the mean. */
function spread(data: BucketSeries): { low: Column; high: Column } {
  if (data.std === null) return { low: data.min, high: data.max };
  const low = new Float64Array(data.length);
  const high = new Float64Array(data.length);
  for (let i = 0; i < data.length; i++) {
    low[i] = data.mean[i]! - data.std[i]!;
    high[i] = data.mean[i]! + data.std[i]!;
  }
  return { low, high };
}

/** Indices [from, to) of a line that a view of x needs, one more on either side. */
export function visiblePart(
  xs: Float64Array,
  first: number,
  last: number,
): readonly [number, number] {
  const from = Math.max(0, lowerBound(xs, first) - 1);
  const to = Math.min(xs.length, lowerBound(xs, last) + 1);
  return [from, Math.max(from, to)];
}

/** Lowest and highest x of all lines; NaN without any point. */
export function extentX(lines: readonly Line[], positive: boolean): readonly [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const { xs, series } of lines) {
    if (xs.length === 0) continue;
    const start = positive ? lowerBound(xs, Number.MIN_VALUE) : 0;
    if (start === xs.length) continue;
    low = Math.min(low, start === 0 && !positive ? series.data.firstX[0]! : xs[start]!);
    high = Math.max(high, series.data.lastX[xs.length - 1]!);
  }
  return low <= high ? [low, high] : [Number.NaN, Number.NaN];
}

/** Lowest and highest value between two x, of the lines and (with `bands`) of what is around them. */
export function extentY(
  lines: readonly Line[],
  first: number,
  last: number,
  options: { bands: boolean; positive: boolean },
): readonly [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  const least = options.positive ? Number.MIN_VALUE : Number.NEGATIVE_INFINITY;
  for (const line of lines) {
    const from = lowerBound(line.xs, first);
    const to = Math.min(
      line.xs.length,
      lowerBound(line.xs, last) + (line.xs[lowerBound(line.xs, last)] === last ? 1 : 0),
    );
    const lower = options.bands ? line.low : line.ys;
    const upper = options.bands ? line.high : line.ys;
    for (let i = from; i < to; i++) {
      const a = lower[i]!;
      const b = upper[i]!;
      if (a < low && a >= least && a !== Number.NEGATIVE_INFINITY) low = a;
      if (b > high && b >= least && b !== Number.POSITIVE_INFINITY) high = b;
      if (options.positive && b < low && b >= least) low = b;
    }
  }
  return low <= high ? [low, high] : [Number.NaN, Number.NaN];
}
