/**
 * The series that charts hold: asked for in batches, kept by bytes, refreshed by their tails.
 *
 * Panels say what they need. Everything needed at one moment that is missing or out of date goes
 * out in few requests, visible panels first, at most four at a time. A request that no panel needs
 * any more is aborted. Data that is out of date stays on the screen until the new data arrives.
 */
import { signal } from "@preact/signals";

import { isAborted } from "../api/errors.js";
import type { HeldSeries } from "../engine/buckets.js";
import type { SeriesFrame } from "../engine/frames.js";
import {
  type Entry,
  FIXED_BYTES,
  type HeldMetric,
  heldTails,
  heldVersion,
  type SeriesQuestion,
  take,
} from "./heldSeries.js";

export type { SeriesQuestion } from "./heldSeries.js";

export interface SeriesItem {
  readonly metric: string;
  readonly have?: readonly HeldSeries[];
}

/** Asks the hub; `ids` are runs, or names of the question's groups. Frames come in item order. */
export type AskSeries = (
  question: SeriesQuestion,
  ids: readonly string[],
  items: readonly SeriesItem[],
  abort: AbortSignal,
) => AsyncIterable<SeriesFrame>;

export interface Need {
  readonly question: SeriesQuestion;
  readonly metric: string;
  /** Runs, or names of groups. */
  readonly ids: readonly string[];
  readonly isVisible: boolean;
}

interface Running {
  readonly abort: AbortController;
  readonly entries: readonly Entry[];
  readonly ids: readonly string[];
  readonly startedAt: number;
}

export interface CacheOptions {
  readonly bytesMax?: number;
  readonly runningMax?: number;
  /** Series in one request. */
  readonly seriesMax?: number;
}

export class FrameCache {
  private readonly entries = new Map<string, Entry>();
  private readonly needs = new Map<object, Need>();
  private readonly running = new Set<Running>();
  private isFlushDue = false;
  private clock = 0;
  private readonly bytesMax: number;
  private readonly runningMax: number;
  private readonly seriesMax: number;

  constructor(
    private readonly ask: AskSeries,
    options: CacheOptions = {},
  ) {
    this.bytesMax = options.bytesMax ?? 96 * 1024 * 1024;
    this.runningMax = options.runningMax ?? 4;
    this.seriesMax = options.seriesMax ?? 1500;
  }

  /** What is held now; made empty at the first call, so that its revision can be watched. */
  read(question: SeriesQuestion, metric: string): HeldMetric {
    return this.entry(question, metric);
  }

  /** Say or change what `owner` (a panel) needs; null ends it. */
  need(owner: object, need: Need | null): void {
    if (need === null) this.needs.delete(owner);
    else this.needs.set(owner, need);
    this.flushSoon();
  }

  /** News from the hub: these series have grown to these versions. */
  changed(
    project: string,
    news: readonly { run_id: string; metric: string; version: number }[],
  ): void {
    const at = ++this.clock;
    const byMetric = grouped(news);
    for (const entry of this.entries.values()) {
      if (entry.question.project !== project) continue;
      const own = byMetric.get(entry.metric) ?? [];
      // A new value of the metric on x moves points of this one.
      const ofX = byMetric.get(xMetricOf(entry.question) ?? entry.metric) ?? [];
      // The hub answers again, so what failed is worth another request.
      if (own.length > 0 || ofX.length > 0) entry.error = null;
      for (const { run_id, version } of own) this.markRun(entry, run_id, version, at);
      if (ofX !== own) for (const { run_id } of ofX) this.markRun(entry, run_id, Infinity, at);
    }
    this.flushSoon();
  }

  /** Drop the data of a run and of its groups: a new run has its id now. */
  forget(project: string, runId: string): void {
    for (const entry of this.entries.values()) {
      const { groups } = entry.question;
      if (entry.question.project !== project) continue;
      const ids =
        groups === null
          ? [runId]
          : Object.keys(groups).filter((name) => groups[name]!.includes(runId));
      for (const id of ids) {
        if (entry.asking.has(id)) entry.forgotten.add(id);
        entry.stale.delete(id);
        if (!entry.answered.delete(id)) continue;
        entry.series.delete(id);
        entry.revision.value++;
      }
    }
    this.flushSoon();
  }

  /** News may have been missed: all needed series are requested again, from their tails. */
  changedAll(): void {
    const at = ++this.clock;
    for (const entry of this.entries.values()) {
      entry.error = null;
      for (const id of entry.answered) entry.stale.set(id, { at, version: Infinity });
    }
    this.flushSoon();
  }

  /** Ask again for what failed. */
  retry(question: SeriesQuestion, metric: string): void {
    const entry = this.entry(question, metric);
    entry.error = null;
    entry.revision.value++;
    this.flushSoon();
  }

  bytes(): number {
    let total = 0;
    for (const entry of this.entries.values()) total += entry.bytes;
    return total;
  }

  private markRun(entry: Entry, runId: string, version: number, at: number): void {
    const { groups } = entry.question;
    // News that come while the first answer is on its way may be newer than it.
    const isHeld = (id: string) => entry.answered.has(id) || entry.asking.has(id);
    if (groups === null) {
      if (isHeld(runId) && heldVersion(entry, runId) < version)
        entry.stale.set(runId, { at, version });
      return;
    }
    for (const [id, runIds] of Object.entries(groups)) {
      if (isHeld(id) && runIds.includes(runId)) entry.stale.set(id, { at, version: Infinity });
    }
  }

  private entry(question: SeriesQuestion, metric: string): Entry {
    const key = keyOf(question, metric);
    let entry = this.entries.get(key);
    if (entry === undefined) {
      entry = {
        question,
        metric,
        revision: signal(0),
        series: new Map(),
        answered: new Set(),
        stale: new Map(),
        asking: new Set(),
        forgotten: new Set(),
        error: null,
        isWaiting: false,
        usedAt: 0,
        bytes: FIXED_BYTES,
      };
      this.entries.set(key, entry);
    }
    entry.usedAt = ++this.clock;
    return entry;
  }

  private flushSoon(): void {
    if (this.isFlushDue) return;
    this.isFlushDue = true;
    queueMicrotask(() => {
      this.isFlushDue = false;
      this.flush();
    });
  }

  private flush(): void {
    const wanted = this.wanted();
    this.abortUnneeded(wanted);
    const ordered = [...wanted.values()].sort((a, b) => Number(b.isVisible) - Number(a.isVisible));
    for (const batch of this.batches(ordered)) {
      if (this.running.size >= this.runningMax) break;
      void this.request(batch.entries, batch.ids);
    }
  }

  private wanted(): Map<Entry, { entry: Entry; ids: Set<string>; isVisible: boolean }> {
    const wanted = new Map<Entry, { entry: Entry; ids: Set<string>; isVisible: boolean }>();
    for (const need of this.needs.values()) {
      const entry = this.entry(need.question, need.metric);
      const known = wanted.get(entry) ?? { entry, ids: new Set(), isVisible: false };
      for (const id of need.ids) known.ids.add(id);
      wanted.set(entry, { ...known, isVisible: known.isVisible || need.isVisible });
    }
    return wanted;
  }

  private abortUnneeded(wanted: ReadonlyMap<Entry, { ids: ReadonlySet<string> }>): void {
    for (const request of this.running) {
      const isNeeded = request.entries.some((entry) => {
        const ids = wanted.get(entry)?.ids;
        return ids !== undefined && request.ids.some((id) => ids.has(id));
      });
      if (!isNeeded) request.abort.abort();
    }
  }

  /** Entries that lack the same ids under the same question go together. */
  private batches(
    wanted: readonly { entry: Entry; ids: ReadonlySet<string>; isVisible: boolean }[],
  ): { entries: Entry[]; ids: string[] }[] {
    const batches = new Map<string, { entries: Entry[]; ids: string[] }[]>();
    for (const { entry, ids, isVisible } of wanted) {
      if (entry.error !== null) continue;
      const lacking = [...ids].filter(
        (id) => !entry.asking.has(id) && (!entry.answered.has(id) || entry.stale.has(id)),
      );
      if (lacking.length === 0) continue;
      const key = JSON.stringify([questionKey(entry.question), isVisible, lacking]);
      const alike = batches.get(key) ?? [];
      const open = alike.at(-1);
      const isFull =
        open === undefined || (open.entries.length + 1) * lacking.length > this.seriesMax;
      if (isFull) alike.push({ entries: [entry], ids: lacking });
      else open.entries.push(entry);
      batches.set(key, alike);
    }
    return [...batches.values()].flat();
  }

  private async request(entries: readonly Entry[], ids: readonly string[]): Promise<void> {
    const request: Running = { abort: new AbortController(), entries, ids, startedAt: this.clock };
    this.running.add(request);
    const tails = entries.map((entry) => heldTails(entry, ids));
    for (const entry of entries) {
      for (const id of ids) entry.asking.add(id);
      if (!entry.isWaiting && ids.some((id) => !entry.answered.has(id))) {
        entry.isWaiting = true;
        entry.revision.value++;
      }
    }
    const items = entries.map((entry, i) => {
      const have = [...tails[i]!.values()];
      return have.length === 0 ? { metric: entry.metric } : { metric: entry.metric, have };
    });
    const open = new Set(entries);
    let failure: Error | null = null;
    let wasAborted = false;
    try {
      for await (const frame of this.ask(entries[0]!.question, ids, items, request.abort.signal)) {
        const entry = entries[frame.item];
        if (entry === undefined) continue;
        open.delete(entry);
        if (frame.error === null) take(entry, ids, frame, tails[frame.item]!);
        this.settle(entry, request, frame.error === null ? null : new Error(frame.error.message));
        entry.revision.value++;
      }
      if (open.size > 0)
        failure = new Error("The hub's answer lacks a requested metric.");
    } catch (reason) {
      wasAborted = isAborted(reason) || request.abort.signal.aborted;
      failure = wasAborted ? null : (reason as Error);
    }
    this.running.delete(request);
    for (const entry of open) {
      // Without an answer the news stay: they are asked for when a panel needs them again.
      if (wasAborted) this.release(entry, request);
      else this.settle(entry, request, failure);
      entry.revision.value++;
    }
    this.evict();
    this.flushSoon();
  }

  /** The ids of an entry are no longer asked for. */
  private release(entry: Entry, request: Running): void {
    for (const id of request.ids) {
      entry.asking.delete(id);
      entry.forgotten.delete(id);
    }
    entry.isWaiting = entry.asking.size > 0;
  }

  /** The ids of an entry are answered, or failed. */
  private settle(entry: Entry, request: Running, error: Error | null): void {
    this.release(entry, request);
    entry.error = error;
    if (error !== null) return;
    for (const id of request.ids) {
      const news = entry.stale.get(id);
      if (news === undefined) continue;
      // News that came after the request was sent may not be in its answer.
      if (news.at <= request.startedAt || heldVersion(entry, id) >= news.version)
        entry.stale.delete(id);
    }
  }

  /** Drop what was not used for longest, but nothing that a panel needs. */
  private evict(): void {
    let total = this.bytes();
    if (total <= this.bytesMax) return;
    const needed = new Set(
      [...this.needs.values()].map((need) => keyOf(need.question, need.metric)),
    );
    const oldest = [...this.entries].sort(([, a], [, b]) => a.usedAt - b.usedAt);
    for (const [key, entry] of oldest) {
      if (total <= this.bytesMax) return;
      if (needed.has(key) || entry.asking.size > 0) continue;
      total -= entry.bytes;
      this.entries.delete(key);
    }
  }
}

const questionKeys = new WeakMap<SeriesQuestion, string>();

const METRIC_AXIS = "metric:";

/** The metric on x; null for steps and times. */
export function xMetricOf({ x }: Pick<SeriesQuestion, "x">): string | null {
  return x.startsWith(METRIC_AXIS) ? x.slice(METRIC_AXIS.length) : null;
}

/** The same text for the same question. */
export function questionKey(question: SeriesQuestion): string {
  let key = questionKeys.get(question);
  if (key === undefined) {
    const { project, x, first, last, buckets, ranks, groups } = question;
    key = JSON.stringify([project, x, first, last, buckets, ranks, groups]);
    questionKeys.set(question, key);
  }
  return key;
}

function keyOf(question: SeriesQuestion, metric: string): string {
  return `${questionKey(question)} ${metric}`;
}

function grouped<T extends { metric: string }>(news: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const one of news) groups.set(one.metric, [...(groups.get(one.metric) ?? []), one]);
  return groups;
}
