/**
 * Buckets: power-of-two ranges of x, anchored at 0.
 *
 * A bucket never moves when data is appended or the view pans, so an old part of a curve is final
 * and only the tail is fetched again.
 */

import type { BucketSeries, Column } from "./frames.js";

/** The window widened to multiples of a 32nd of its size, so that near zooms ask the same question. */
export function alignWindow(first: number, last: number): readonly [number, number] {
  const grain = 2 ** Math.floor(Math.log2(Math.max(last - first, Number.MIN_VALUE) / 32));
  const size = Math.max(Math.abs(first), Math.abs(last)) / grain;
  if (!(grain < Infinity && size < Infinity)) return [first, last];
  return [Math.floor(first / grain) * grain, Math.ceil(last / grain) * grain];
}

/** Index of the first element that is >= `value`; the array is ascending. */
export function lowerBound(ascending: ArrayLike<number>, value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index of the element nearest to `value`, -1 for an empty array. */
export function nearestIndex(ascending: ArrayLike<number>, value: number): number {
  const after = lowerBound(ascending, value);
  if (after === 0) return ascending.length === 0 ? -1 : 0;
  if (after === ascending.length) return after - 1;
  return value - ascending[after - 1]! <= ascending[after]! - value ? after - 1 : after;
}

/** What a client tells the hub that it holds, so that only the tail is sent. */
export interface HeldSeries {
  readonly run_id: string;
  readonly label: string;
  readonly version: number;
  readonly level: number;
  /** First bucket to send again: the last one, which may still grow. */
  readonly tail: number;
  /** Points in the buckets before `tail`. */
  readonly head_count: number;
}

export function heldSeries(series: BucketSeries): HeldSeries | null {
  if (series.length === 0) return null;
  let head = 0;
  for (let i = 0; i < series.length - 1; i++) head += series.count[i]!;
  return {
    run_id: series.runId,
    label: series.label,
    version: series.version,
    level: series.level,
    tail: series.bucket[series.length - 1]!,
    head_count: head,
  };
}

/** The held series with its buckets from the tail's first one on replaced. `from` is the asked tail. */
export function mergeTail(held: BucketSeries, tail: BucketSeries, from: number): BucketSeries {
  if (held.level !== tail.level || held.width !== tail.width) {
    throw new RangeError(`tail of level ${tail.level} does not continue level ${held.level}`);
  }
  const keep = lowerBound(held.bucket, from);
  const length = keep + tail.length;
  const floats = (head: Float64Array, rest: Float64Array): Float64Array => {
    const joined = new Float64Array(length);
    joined.set(head.subarray(0, keep));
    joined.set(rest, keep);
    return joined;
  };
  const join = (head: Column, rest: Column): Column => {
    const same = head.constructor === rest.constructor;
    const joined = same
      ? new (head.constructor as new (n: number) => Column)(length)
      : new Float64Array(length);
    joined.set(head.subarray(0, keep));
    joined.set(rest, keep);
    return joined;
  };
  const maybe = (head: Column | null, rest: Column | null): Column | null => {
    if (head === null && rest === null) return null;
    return join(head ?? new Uint32Array(held.length), rest ?? new Uint32Array(tail.length));
  };
  const bucket = floats(held.bucket, tail.bucket);
  const mean = join(held.mean, tail.mean);
  const plain = held.firstX === held.bucket && tail.firstX === tail.bucket;
  return {
    ...tail,
    tail: false,
    length,
    bucket,
    mean,
    count: join(held.count, tail.count),
    min: join(held.min, tail.min),
    max: join(held.max, tail.max),
    first: join(held.first, tail.first),
    last: join(held.last, tail.last),
    firstX: plain ? bucket : floats(held.firstX, tail.firstX),
    lastX: plain ? bucket : floats(held.lastX, tail.lastX),
    nan: maybe(held.nan, tail.nan),
    positiveInf: maybe(held.positiveInf, tail.positiveInf),
    negativeInf: maybe(held.negativeInf, tail.negativeInf),
    std: maybe(held.std, tail.std),
    runCount: maybe(held.runCount, tail.runCount),
  };
}

/** x at which each bucket is drawn: the middle between its first and its last point. */
export function positions(series: BucketSeries): Float64Array {
  if (series.firstX === series.lastX) return series.firstX;
  const known = positionsOf.get(series);
  if (known !== undefined) return known;
  const middles = new Float64Array(series.length);
  for (let i = 0; i < series.length; i++) middles[i] = middle(series.firstX[i]!, series.lastX[i]!);
  positionsOf.set(series, middles);
  return middles;
}

/** Lowest and highest x of a bucket's points; of a group's steps, which these can be. */
export function rangeOfX(series: BucketSeries, index: number): readonly [number, number] {
  const { firstX, lastX, bucket, width } = series;
  if (firstX !== lastX || width <= 1) return [firstX[index]!, lastX[index]!];
  return [bucket[index]! * width, (bucket[index]! + 1) * width - 1];
}

/** Of a and b; also where their sum is beyond the largest number. */
export function middle(a: number, b: number): number {
  return Number.isFinite(a + b) ? (a + b) / 2 : a / 2 + b / 2;
}

const positionsOf = new WeakMap<BucketSeries, Float64Array>();

const GAP_TO_NEIGHBOURS = 12;
const GAP_TO_USUAL = 8;

/**
 * Flags the buckets that no line joins to their predecessor, or null when all are joined.
 *
 * A metric is often logged every n steps, so a missing bucket alone is no gap. It is one where the
 * distance is far beyond both neighbouring distances and beyond nine in ten distances of the
 * series: a pause of the training, not a change of the logging interval and not logs in bursts.
 */
export function gapsBefore(xs: Float64Array): Uint8Array | null {
  const n = xs.length;
  let flags: Uint8Array | null = null;
  let usual = -1;
  for (let i = 2; i < n - 1; i++) {
    const distance = xs[i]! - xs[i - 1]!;
    const around = Math.max(xs[i - 1]! - xs[i - 2]!, xs[i + 1]! - xs[i]!);
    if (distance <= GAP_TO_NEIGHBOURS * around) continue;
    if (usual < 0) usual = ninetieth(xs);
    if (distance <= GAP_TO_USUAL * usual) continue;
    flags ??= new Uint8Array(n);
    flags[i] = 1;
  }
  return flags;
}

function ninetieth(xs: Float64Array): number {
  const distances = new Float64Array(xs.length - 1);
  for (let i = 0; i < distances.length; i++) distances[i] = xs[i + 1]! - xs[i]!;
  distances.sort();
  return distances[Math.floor((distances.length - 1) * 0.9)]!;
}
