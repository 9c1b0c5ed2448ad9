/**
 * The lines of a run's console that are loaded: a window that grows at both ends by cursor.
 *
 * `follow` asks for new lines once a second while the page is visible. They come in the order in
 * which the store got them: a line of another rank may belong between lines that are loaded, and a
 * progress bar is one line that comes again. At most LINES_MAX lines are kept; the other end gives
 * way.
 */
import { batch, computed, signal, type ReadonlySignal } from "@preact/signals";

import { isAborted } from "../api/errors.js";
import { readConsole, type ConsoleQuery } from "../api/hub.js";
import type { ConsoleLine, ConsolePage } from "../api/types.js";

export interface ConsoleView {
  search: string;
  stream: string;
  label: string;
}
type Ask = (query: ConsoleQuery, signal: AbortSignal) => Promise<ConsolePage>;

export const PAGE_LINES = 1000;
export const LINES_MAX = 20_000;
const FOLLOW_MS = 1000;

export interface ConsoleState {
  lines: ReadonlySignal<readonly ConsoleLine[]>;
  total: ReadonlySignal<number | null>;
  hasEarlier: ReadonlySignal<boolean>;
  hasLater: ReadonlySignal<boolean>;
  isLoading: ReadonlySignal<boolean>;
  isReady: ReadonlySignal<boolean>;
  error: ReadonlySignal<Error | null>;
  /** Start anew at the end, or around a moment in seconds. */
  show(view: ConsoleView, aroundTime?: number | null): Promise<void>;
  loadEarlier(): Promise<void>;
  loadLater(): Promise<void>;
  follow(): () => void;
  close(): void;
}

export function makeConsole(ask: Ask): ConsoleState {
  const lines = signal<readonly ConsoleLine[]>([]);
  const total = signal<number | null>(null);
  const before = signal<string | null>(null);
  const hasLater = signal(false);
  const isLoading = signal(false);
  const isReady = signal(false);
  const error = signal<Error | null>(null);
  let after: string | null = null;
  /** Lines that come now were not there when they were counted. */
  let isAtEnd = true;
  let view: ConsoleView = { search: "", stream: "", label: "" };
  let running: AbortController | null = null;

  async function read(query: ConsoleQuery, take: (page: ConsolePage) => void): Promise<void> {
    running?.abort();
    const mine = new AbortController();
    running = mine;
    isLoading.value = true;
    try {
      const page = await ask({ ...view, limit: PAGE_LINES, ...query }, mine.signal);
      if (running === mine) batch(() => (take(page), (error.value = null), (isReady.value = true)));
    } catch (failure) {
      if (running === mine && !isAborted(failure)) error.value = failure as Error;
    } finally {
      if (running === mine) {
        running = null;
        isLoading.value = false;
      }
    }
  }

  function takeLater(page: ConsolePage): void {
    const { all, added } = joined(lines.peek(), page.lines, before.peek() !== null);
    const cut = Math.max(0, all.length - LINES_MAX);
    lines.value = cut > 0 ? all.slice(cut) : all;
    if (cut > 0) before.value = lines.peek()[0]?.cursor ?? null;
    after = page.after ?? after;
    if (isAtEnd && total.peek() !== null) total.value = (total.peek() as number) + added;
    hasLater.value = page.lines.length >= PAGE_LINES;
    isAtEnd ||= !hasLater.peek();
  }

  const loadLater = async () => {
    if (running === null && isReady.peek()) await read(after === null ? {} : { after }, takeLater);
  };

  return {
    lines,
    total,
    hasEarlier: computed(() => before.value !== null),
    hasLater,
    isLoading,
    isReady,
    error,
    async show(next, aroundTime = null) {
      view = next;
      await read(aroundTime === null ? {} : { around_time: aroundTime }, (page) => {
        lines.value = page.lines;
        total.value = page.total;
        before.value = page.before;
        after = page.after;
        isAtEnd = aroundTime === null;
        hasLater.value = aroundTime !== null && page.lines.length >= PAGE_LINES;
      });
    },
    async loadEarlier() {
      if (running !== null || before.peek() === null) return;
      await read({ before: before.peek() }, (page) => {
        const all = [...page.lines, ...lines.peek()];
        lines.value = all.slice(0, LINES_MAX);
        before.value = page.before;
        if (all.length > LINES_MAX) {
          after = lines.peek().at(-1)?.cursor ?? null;
          hasLater.value = true;
          isAtEnd = false;
        }
      });
    },
    loadLater,
    follow() {
      const timer = setInterval(() => {
        if (document.visibilityState === "visible") void loadLater();
      }, FOLLOW_MS);
      return () => clearInterval(timer);
    },
    close: () => running?.abort(),
  };
}

/**
 * Return lines by time with newer ones among them, and how many of those are of no line before.
 *
 * With `hasEarlier`, a line from before the first one is left out: it is read with the earlier lines.
 */
function joined(
  held: readonly ConsoleLine[],
  newer: readonly ConsoleLine[],
  hasEarlier: boolean,
): { all: readonly ConsoleLine[]; added: number } {
  if (newer.length === 0) return { all: held, added: 0 };
  const byId = new Map(held.map((line) => [line.id, line]));
  const first = held[0];
  let added = 0;
  for (const line of newer) {
    if (byId.delete(line.id)) added -= 1;
    added += 1;
    if (!hasEarlier || first === undefined || isBefore(first, line)) byId.set(line.id, line);
  }
  const all = [...byId.values()];
  const inOrder = all.every((line, at) => at === 0 || isBefore(all[at - 1] as ConsoleLine, line));
  return { all: inOrder ? all : all.sort((left, right) => (isBefore(left, right) ? -1 : 1)), added };
}

/** Whether `left` comes before `right`, as the hub orders them. */
function isBefore(left: ConsoleLine, right: ConsoleLine): boolean {
  const times = (left.time ?? 0) - (right.time ?? 0);
  if (times !== 0) return times < 0;
  return left.number === right.number ? left.id < right.id : left.number < right.number;
}

/** The console of one run. */
export function makeRunConsole(project: string, runId: string): ConsoleState {
  return makeConsole((query, signal) => readConsole(project, runId, query, { signal }));
}
