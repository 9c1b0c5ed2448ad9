/** The cached series of one metric, by run or group, and how answers change them. */
import type { Signal } from "@preact/signals";

import { type HeldSeries, heldSeries, mergeTail } from "../engine/buckets.js";
import type { BucketSeries, SeriesFrame } from "../engine/frames.js";

/** Bytes of an entry or a series beside its columns. */
export const FIXED_BYTES = 300;

/** What all panels of a view ask alike. */
export interface SeriesQuestion {
  readonly project: string;
  readonly x: string;
  readonly first: number | null;
  readonly last: number | null;
  readonly buckets: number;
  /** Whether the ranks of a run are one series, their mean, or a series each. */
  readonly ranks: "mean" | "apart";
  /** Groups of runs by name; null: runs one by one. */
  readonly groups: Readonly<Record<string, readonly string[]>> | null;
}

/** What is held for one metric of one question. */
export interface HeldMetric {
  /** Counts up whenever something below changes. */
  readonly revision: Signal<number>;
  readonly series: ReadonlyMap<string, readonly BucketSeries[]>;
  readonly error: Error | null;
  /** True while ids that were never answered are on their way. */
  readonly isWaiting: boolean;
}

export interface Entry extends HeldMetric {
  readonly question: SeriesQuestion;
  readonly metric: string;
  readonly series: Map<string, readonly BucketSeries[]>;
  readonly answered: Set<string>;
  /** Ids of which news came: when (by `clock`), and the version that they spoke of. */
  readonly stale: Map<string, { at: number; version: number }>;
  readonly asking: Set<string>;
  /** Ids whose answer that is on its way is of another run, and is not kept. */
  readonly forgotten: Set<string>;
  error: Error | null;
  isWaiting: boolean;
  usedAt: number;
  bytes: number;
}

/** Points that are held of an id; 0 where nothing is. */
export function heldVersion(entry: Entry, id: string): number {
  let version = 0;
  for (const series of entry.series.get(id) ?? []) version += series.version;
  return version;
}

export function heldTails(entry: Entry, ids: readonly string[]): Map<string, HeldSeries> {
  const tails = new Map<string, HeldSeries>();
  if (entry.question.groups !== null) return tails;
  for (const id of ids) {
    for (const series of entry.series.get(id) ?? []) {
      const held = heldSeries(series);
      if (held !== null) tails.set(seriesKey(series), held);
    }
  }
  return tails;
}

export function take(
  entry: Entry,
  ids: readonly string[],
  frame: SeriesFrame,
  tails: ReadonlyMap<string, HeldSeries>,
): void {
  const fresh = new Map<string, BucketSeries[]>();
  for (const series of frame.series) {
    const id = entry.question.groups === null ? series.runId : series.group;
    fresh.set(id, [...(fresh.get(id) ?? []), continued(entry, id, series, tails)]);
  }
  for (const id of ids) {
    if (entry.forgotten.has(id)) continue;
    entry.answered.add(id);
    const all = fresh.get(id);
    if (all === undefined) entry.series.delete(id);
    else entry.series.set(id, all);
  }
  entry.bytes = FIXED_BYTES;
  for (const all of entry.series.values()) for (const one of all) entry.bytes += bytesOf(one);
}

function continued(
  entry: Entry,
  id: string,
  series: BucketSeries,
  tails: ReadonlyMap<string, HeldSeries>,
): BucketSeries {
  if (!series.tail) return series;
  const held = entry.series.get(id)?.find((one) => one.label === series.label);
  const asked = tails.get(seriesKey(series));
  if (held === undefined || asked === undefined) return series;
  // The bucket at the tail holds points, so an empty tail brings no news.
  return series.length === 0 ? held : mergeTail(held, series, asked.tail);
}

function bytesOf(series: BucketSeries): number {
  let bytes = FIXED_BYTES;
  const counted = new Set<unknown>();
  for (const value of Object.values(series) as unknown[]) {
    if (!ArrayBuffer.isView(value) || counted.has(value)) continue;
    counted.add(value);
    bytes += value.byteLength;
  }
  return bytes;
}

function seriesKey(series: BucketSeries): string {
  return JSON.stringify([series.runId, series.label]);
}
