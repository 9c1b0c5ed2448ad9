/** Marks: the non-finite values of a series, which no line can show. */

import { middle } from "./buckets.js";
import type { BucketSeries } from "./frames.js";

export type MarkKind = "nan" | "positiveInf" | "negativeInf";

export interface Mark {
  readonly kind: MarkKind;
  readonly x: number;
}

export interface NonFinite {
  readonly nan: number;
  readonly positiveInf: number;
  readonly negativeInf: number;
  /** x of the first of them, or where its bucket begins. */
  readonly firstX: number;
  /** Whether `firstX` is the x of a value, not only of its bucket. */
  readonly isExact: boolean;
}

const KINDS: readonly MarkKind[] = ["nan", "positiveInf", "negativeInf"];

/** One mark per bucket and kind. */
export function marksOf(series: BucketSeries): Mark[] {
  const marks: Mark[] = [];
  for (const kind of KINDS) {
    const counts = series[kind];
    if (counts === null) continue;
    for (let i = 0; i < series.length; i++)
      if (counts[i]! > 0) marks.push({ kind, x: middle(series.firstX[i]!, series.lastX[i]!) });
  }
  return marks;
}

/** `value` of a bucket, or where that has no finite point, the infinity that all its points are. */
export function orInfinity(value: number, series: BucketSeries, i: number): number {
  if (!Number.isNaN(value) || (series.nan?.[i] ?? 0) > 0) return value;
  const above = (series.positiveInf?.[i] ?? 0) > 0;
  const below = (series.negativeInf?.[i] ?? 0) > 0;
  if (above === below) return value;
  return above ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
}

/** A series, and the indices [from, to) of its buckets that count. */
export interface SeriesPart {
  readonly data: BucketSeries;
  readonly part: readonly [number, number];
}

/** Of a band, only the bounds of its buckets are known; `firstX` and `lastX` are their middle. */
function isBandOfBuckets(data: BucketSeries): boolean {
  return data.runCount !== null && data.width !== 1;
}

/**
 * Finite values of 0 and less, which a logarithmic axis cannot show. Of buckets that also have
 * larger values the number is unknown: `isExact` is false, and they are not in `count`.
 */
export function countNotPositive(all: readonly SeriesPart[]): { count: number; isExact: boolean } {
  let count = 0;
  let isExact = true;
  for (const { data, part } of all) {
    for (let i = part[0]; i < part[1]; i++) {
      if (!(data.min[i]! <= 0)) continue;
      if (data.max[i]! > 0) isExact = false;
      else count += KINDS.reduce((rest, kind) => rest - (data[kind]?.[i] ?? 0), data.count[i]!);
    }
  }
  return { count, isExact };
}

/** Points of buckets whose middle is at an x of 0 or less, which a logarithmic x axis cannot show. */
export function countNotPositiveX(all: readonly SeriesPart[]): number {
  let count = 0;
  for (const { data, part } of all)
    for (let i = part[0]; i < part[1]; i++)
      if (middle(data.firstX[i]!, data.lastX[i]!) <= 0) count += data.count[i]!;
  return count;
}

/** Whether the first point of a bucket is known to be none that a line can show. */
function startsNonFinite(data: BucketSeries, i: number): boolean {
  if (isBandOfBuckets(data)) return false;
  let count = 0;
  for (const kind of KINDS) count += data[kind]?.[i] ?? 0;
  return data.firstX[i] === data.lastX[i] || count === data.count[i];
}

/** How many non-finite values the parts hold, and where the first is; null without any. */
export function countNonFinite(all: readonly SeriesPart[]): NonFinite | null {
  const total = {
    nan: 0,
    positiveInf: 0,
    negativeInf: 0,
    firstX: Number.POSITIVE_INFINITY,
    isExact: false,
  };
  for (const { data, part } of all) {
    for (const kind of KINDS) {
      const counts = data[kind];
      if (counts === null) continue;
      for (let i = part[0]; i < part[1]; i++) {
        if (counts[i]! === 0) continue;
        total[kind] += counts[i]!;
        const x = isBandOfBuckets(data) ? data.bucket[i]! * data.width : data.firstX[i]!;
        if (x > total.firstX) continue;
        total.isExact = startsNonFinite(data, i) || (x === total.firstX && total.isExact);
        total.firstX = x;
      }
    }
  }
  return total.firstX === Number.POSITIVE_INFINITY ? null : total;
}
