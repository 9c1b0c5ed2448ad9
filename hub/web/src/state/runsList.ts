/**
 * The runs of a project, filtered and sorted by the hub, as far as they are needed.
 *
 * Pages come by cursor, so rows are a prefix of the list. `need` says how many rows are shown or
 * drawn; pages are fetched up to there. A new view keeps the old rows on the screen until its first
 * page is in, and so does a refresh until all rows that are needed were read anew.
 */
import { batch, signal, type ReadonlySignal } from "@preact/signals";

import { ApiError, isAborted } from "../api/errors.js";
import { listRuns } from "../api/hub.js";
import type { RunOverview, RunsPage, RunsQuery } from "../api/types.js";

export type RunsListView = Pick<RunsQuery, "filter" | "sort" | "columns" | "archived">;
type Ask = (project: string, query: RunsQuery, abort: { signal: AbortSignal }) => Promise<RunsPage>;

const FIRST_PAGE = 100;
const NEXT_PAGE = 500;
/** Where all rows are needed few large pages take less time than many. */
const LARGE_PAGE = 2000;
/** The hub's bound of rows times columns in a page. */
const VALUES_MAX = 500_000;
const REREAD_MAX = 200;

/** How exact the moment is at which a run was last seen: the list is not drawn anew for each point. */
const SEEN_SECONDS = 10;

export interface RunsList {
  rows: ReadonlySignal<readonly RunOverview[]>;
  /** How many runs the view has, loaded or not; null until the hub said it. */
  total: ReadonlySignal<number | null>;
  /** What the hub said of the filter; the rows are those of the last good one. */
  filterError: ReadonlySignal<ApiError | null>;
  error: ReadonlySignal<Error | null>;
  /** Why colours are not the stored ones; "" where they are. */
  colorProblem: ReadonlySignal<string>;
  /** Why the filter may leave no run. */
  hints: ReadonlySignal<readonly string[]>;
  isLoading: ReadonlySignal<boolean>;
  /** False until the first page of the first view. */
  isReady: ReadonlySignal<boolean>;
  show(view: RunsListView): void;
  need(count: number): void;
  /** Load every row; ends when they are in, or after a failure. */
  needAll(): Promise<void>;
  refresh(): void;
  /** Change a loaded row at once, before the hub confirms it. */
  patch(runId: string, changes: Partial<RunOverview>): void;
  /** These runs sent something at `moment`, in seconds since 1970 UTC. */
  seen(runIds: ReadonlySet<string>, moment: number): void;
  /** Read these rows again, such as for values that new points changed; their order stays. */
  reread(runIds: ReadonlySet<string>): Promise<void>;
  remove(runIds: ReadonlySet<string>): void;
  close(): void;
}

export function makeRunsList(project: string, ask: Ask = listRuns): RunsList {
  const rows = signal<readonly RunOverview[]>([]);
  const total = signal<number | null>(null);
  const filterError = signal<ApiError | null>(null);
  const error = signal<Error | null>(null);
  const colorProblem = signal("");
  const hints = signal<readonly string[]>([]);
  const isLoading = signal(false);
  const isReady = signal(false);
  const closing = new AbortController();
  let view: RunsListView | null = null;
  let cursor: string | null = null;
  let wanted = FIRST_PAGE;
  let running: AbortController | null = null;
  let isRefreshDue = false;

  async function run(task: (abort: AbortSignal) => Promise<void>): Promise<void> {
    running?.abort();
    const mine = new AbortController();
    running = mine;
    isLoading.value = true;
    try {
      await task(mine.signal);
      if (running === mine) batch(() => ((error.value = null), (filterError.value = null)));
    } catch (failure) {
      if (running === mine && !isAborted(failure)) keepFailure(failure as Error);
    }
    if (running !== mine) return;
    running = null;
    isLoading.value = false;
    if (isRefreshDue) {
      refresh();
    } else if (hasNoFailure() && cursor !== null && rows.peek().length < wanted) {
      // More became needed while this ran.
      void run(readOn);
    }
  }

  function hasNoFailure(): boolean {
    return error.peek() === null && filterError.peek() === null;
  }

  function keepFailure(failure: Error): void {
    const isFilter = failure instanceof ApiError && failure.details.field === "filter";
    batch(() => {
      filterError.value = isFilter ? failure : null;
      error.value = isFilter ? null : failure;
    });
  }

  async function readAnew(abort: AbortSignal): Promise<void> {
    if (view === null) return;
    const read: RunOverview[] = [];
    let next: string | null = null;
    do {
      const limit = read.length === 0 && !isReady.peek() ? FIRST_PAGE : pageSize(read.length);
      const page: RunsPage = await ask(project, { ...view, limit, cursor: next }, { signal: abort });
      abort.throwIfAborted();
      colorProblem.value = page.color_problem ?? "";
      hints.value = page.hints ?? [];
      read.push(...page.runs);
      next = page.next_cursor;
      if (!isReady.peek() || next === null || read.length >= wanted) take(read, next, page.total);
    } while (next !== null && read.length < wanted);
  }

  /** Rows of the page that begins after so many. */
  function pageSize(from: number): number {
    const fits = Math.floor(VALUES_MAX / Math.max(1, view?.columns.length ?? 0));
    const least = from === 0 ? FIRST_PAGE : NEXT_PAGE;
    return Math.min(fits, LARGE_PAGE, Math.max(wanted - from, least));
  }

  async function readOn(abort: AbortSignal): Promise<void> {
    while (view !== null && cursor !== null && rows.peek().length < wanted) {
      const query = { ...view, limit: pageSize(rows.peek().length), cursor };
      const page = await ask(project, query, { signal: abort });
      abort.throwIfAborted();
      take([...rows.peek(), ...page.runs], page.next_cursor, page.total ?? total.peek());
    }
  }

  function take(read: readonly RunOverview[], next: string | null, count: number | null): void {
    cursor = next;
    batch(() => {
      rows.value = withoutRepeats(read);
      total.value = count ?? (next === null ? read.length : total.peek());
      isReady.value = true;
    });
  }

  function refresh(): void {
    isRefreshDue = running !== null;
    if (!isRefreshDue) void run(readAnew);
  }

  function untilIdle(): Promise<void> {
    return new Promise((resolve) => {
      const stop = isLoading.subscribe((is) => {
        if (!is) queueMicrotask(() => (stop(), resolve()));
      });
    });
  }

  return {
    rows,
    total,
    filterError,
    error,
    colorProblem,
    hints,
    isLoading,
    isReady,
    refresh,
    show(next) {
      if (view !== null && JSON.stringify(view) === JSON.stringify(next)) return;
      view = next;
      wanted = FIRST_PAGE;
      void run(readAnew);
    },
    need(count) {
      wanted = Math.max(wanted, count);
      if (running === null && hasNoFailure() && cursor !== null && rows.peek().length < wanted) {
        void run(readOn);
      }
    },
    async needAll() {
      wanted = Infinity;
      while (running !== null) await untilIdle();
      if (cursor !== null) await run(readOn);
    },
    patch(runId, changes) {
      rows.value = rows.peek().map((row) => (row.run_id === runId ? { ...row, ...changes } : row));
    },
    seen(runIds, moment) {
      const isOld = (row: RunOverview) =>
        runIds.has(row.run_id) &&
        row.state === "running" &&
        (row.last_seen ?? 0) < moment - SEEN_SECONDS;
      if (!rows.peek().some(isOld)) return;
      rows.value = rows.peek().map((row) => (isOld(row) ? { ...row, last_seen: moment } : row));
    },
    async reread(runIds) {
      const known = rows.peek().filter(({ run_id }) => runIds.has(run_id)).slice(0, REREAD_MAX);
      if (view === null || known.length === 0 || running !== null) return;
      const asked = view;
      const filter = known.map(({ run_id }) => `id:${JSON.stringify(run_id)}`).join("|");
      const query = { ...view, filter, limit: known.length, cursor: null, archived: true };
      try {
        const page = await ask(project, query, { signal: closing.signal });
        if (view !== asked) return; // Its columns are others.
        const fresh = new Map(page.runs.map((run) => [run.run_id, run]));
        rows.value = rows.peek().map((row) => fresh.get(row.run_id) ?? row);
      } catch {
        // The next reading of the list says what is wrong.
      }
    },
    remove(runIds) {
      const left = rows.peek().filter((row) => !runIds.has(row.run_id));
      const gone = rows.peek().length - left.length;
      batch(() => ((rows.value = left), (total.value = Math.max(0, (total.peek() ?? 0) - gone))));
    },
    close() {
      closing.abort();
      running?.abort();
    },
  };
}

/** A run that moved between two pages would be listed twice; its first place counts. */
function withoutRepeats(read: readonly RunOverview[]): readonly RunOverview[] {
  const seen = new Set<string>();
  return read.filter(({ run_id }) => !seen.has(run_id) && seen.add(run_id));
}
