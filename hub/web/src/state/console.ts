/**
 * The lines of a run's console that are loaded: a window that grows at both ends by cursor.
 *
 * `follow` asks for newer lines once a second while the page is visible. At most LINES_MAX lines
 * are kept; the other end gives way.
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
    const all = [...lines.peek(), ...page.lines];
    const cut = Math.max(0, all.length - LINES_MAX);
    lines.value = all.slice(cut);
    if (cut > 0) before.value = lines.peek()[0]?.cursor ?? null;
    after = page.after ?? after;
    total.value = page.total ?? total.peek();
    hasLater.value = page.lines.length >= PAGE_LINES;
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
        hasLater.value = aroundTime !== null && page.after !== null;
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

/** The console of one run. */
export function makeRunConsole(project: string, runId: string): ConsoleState {
  return makeConsole((query, signal) => readConsole(project, runId, query, { signal }));
}
