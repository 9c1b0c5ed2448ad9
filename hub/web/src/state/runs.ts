/**
 * The runs of a page: which are listed, which are drawn, and which run the pointer is on.
 *
 * A page takes RUNS_FIELDS into its view and gives the view's state:
 *
 *     const VIEW = { ...RUNS_FIELDS, x: oneOf(["step", "time"], "step") };
 *     const view = useMemo(() => viewState(VIEW), []);
 *     const runs = useRuns(project, view);
 */
import { computed, effect, signal, untracked, type ReadonlySignal, type Signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { isAborted } from "../api/errors.js";
import { listRuns } from "../api/hub.js";
import type { AttributeKey, RunOverview } from "../api/types.js";
import { likelyColumnKeys } from "./columnKeys.js";
import { columnsToAsk } from "./columns.js";
import { railColumns } from "./defaultColumns.js";
import type { ViewState } from "./navigation.js";
import { flag, list, text } from "./query.js";
import { makeRunsList, type RunsList } from "./runsList.js";
import {
  formatSelection, needsAllRows, parseSelection, selectIds, toggleRun,
  type Selection, type SelectionMode,
} from "./selection.js";

/** `c=auto` stands for columns that the page chooses. */
const AUTO_COLUMNS = ["auto"] as const;
/** The columns are chosen again at most so often: some projects never have results. */
const LOOKS_MAX = 100;

export const RUNS_FIELDS = {
  q: text(),
  s: list(["-started"]),
  c: list(AUTO_COLUMNS),
  sel: list(),
  archived: flag(),
};

export interface RunsState {
  project: string;
  list: RunsList;
  filter: ReadonlySignal<string>;
  sort: ReadonlySignal<readonly string[]>;
  columns: ReadonlySignal<readonly string[]>;
  archived: ReadonlySignal<boolean>;
  selection: ReadonlySignal<Selection>;
  /** The runs that are drawn, in the list's order; those beyond the loaded rows come last. */
  shown: ReadonlySignal<readonly RunOverview[]>;
  shownIds: ReadonlySignal<ReadonlySet<string>>;
  /** The run that is pointed at, in the rail or in a chart. */
  highlighted: Signal<string | null>;
  setFilter(filter: string): void;
  setSort(sort: readonly string[]): void;
  setColumns(columns: readonly string[]): void;
  setArchived(archived: boolean): void;
  setMode(mode: SelectionMode): void;
  toggle(runId: string): void;
  showOnly(runId: string): void;
  /** Runs have new metrics: columns that were chosen before the first results are chosen again. */
  noteMetrics(): void;
  close(): void;
}

/** Columns for `c=auto`, from the keys of config and summary that the project's runs have. */
export type ChooseColumns = (keys: readonly AttributeKey[]) => readonly string[];

/** `choose` must stay the same function from one drawing to the next. */
export function useRuns(
  project: string,
  view: ViewState<typeof RUNS_FIELDS>,
  choose: ChooseColumns = railColumns,
): RunsState {
  const runs = useMemo(() => makeRuns(project, view, choose), [project, view, choose]);
  useEffect(() => runs.close, [runs]);
  return runs;
}

export function makeRuns(
  project: string,
  view: ViewState<typeof RUNS_FIELDS>,
  choose: ChooseColumns,
): RunsState {
  const runsList = makeRunsList(project);
  const chosenByPage = signal<readonly string[] | null>(null);
  const elsewhere = signal<ReadonlyMap<string, RunOverview>>(new Map());
  const closing = new AbortController();
  let looks = 0;
  let listedBefore: { list: string; runs: ReadonlySet<string> } | null = null;

  const part = <T>(read: (values: ViewState<typeof RUNS_FIELDS>["values"]["value"]) => T) => {
    const serialized = computed(() => JSON.stringify(read(view.values.value)));
    return computed<T>(() => JSON.parse(serialized.value) as T);
  };
  const filter = part((values) => values.q);
  const sort = part((values) => values.s);
  const archived = part((values) => values.archived);
  const asked = part((values) => values.c);
  const tokens = part((values) => values.sel);
  const isAuto = computed(() => asked.value.length === 1 && asked.value[0] === AUTO_COLUMNS[0]);
  const columns = computed(() => (isAuto.value ? (chosenByPage.value ?? []) : asked.value));
  const selection = computed(() => parseSelection(tokens.value));

  const loadedIds = computed(() => new Set(runsList.rows.value.map((row) => row.run_id)));
  const shownIds = computed(() => selectIds(runsList.rows.value, selection.value));
  const shown = computed(() => [
    ...runsList.rows.value.filter((row) => shownIds.value.has(row.run_id)),
    ...[...elsewhere.value.values()].filter(
      ({ run_id }) => shownIds.value.has(run_id) && !loadedIds.value.has(run_id),
    ),
  ]);

  const stops = [
    effect(() => {
      if (isAuto.value && chosenByPage.value === null) return void chooseColumns();
      runsList.show({
        filter: filter.value, sort: sort.value, columns: columnsToAsk(columns.value), archived: archived.value,
      });
    }),
    effect(() => {
      const now = runsList.rows.value;
      untracked(() => isReplaced(now) && void chooseColumns());
    }),
    effect(() => {
      if (needsAllRows(selection.value)) runsList.need(runsList.total.value ?? Infinity);
    }),
    effect(() => {
      if (!runsList.isReady.value) return;
      const missing = [...selection.value.added].filter(
        (id) => !loadedIds.value.has(id) && !elsewhere.peek().has(id),
      );
      if (missing.length > 0) void fetchElsewhere(missing);
    }),
  ];

  /** Whether a project of the same name took the place of the one whose columns were chosen. */
  function isReplaced(rows: readonly RunOverview[]): boolean {
    if (!runsList.isReady.peek() || !isAuto.peek() || filter.peek() !== "") return false;
    const list = JSON.stringify([sort.peek(), archived.peek()]);
    const runs = new Set(rows.map(({ run_id, started_at }) => `${started_at} ${run_id}`));
    const before = listedBefore;
    if (before?.list === list && runs.size === 0) return false;
    listedBefore = { list, runs };
    return before?.list === list && ![...runs].some((run) => before.runs.has(run));
  }

  async function chooseColumns(): Promise<void> {
    let keys: readonly AttributeKey[] = [];
    try {
      keys = await likelyColumnKeys(project, closing.signal);
    } catch (failure) {
      if (isAborted(failure)) return;
      // Without columns the list is still of use, and its own request says what is wrong.
    }
    const chosen = choose(keys);
    if (JSON.stringify(chosen) !== JSON.stringify(chosenByPage.peek())) chosenByPage.value = chosen;
  }

  async function fetchElsewhere(ids: readonly string[]): Promise<void> {
    const query = {
      filter: ids.map((id) => `id:${JSON.stringify(id)}`).join("|"),
      sort: ["-started"],
      columns: columnsToAsk(untracked(() => columns.value)),
      limit: ids.length,
      cursor: null,
      archived: true,
    };
    try {
      const page = await listRuns(project, query, { signal: closing.signal });
      elsewhere.value = new Map([
        ...elsewhere.peek(),
        ...page.runs.map((run) => [run.run_id, run] as const),
      ]);
    } catch {
      // They stay out of the charts; the rail's own requests say what is wrong.
    }
  }

  const select = (next: Selection) => view.change({ sel: formatSelection(next) });
  return {
    project,
    list: runsList,
    filter,
    sort,
    columns,
    archived,
    selection,
    shown,
    shownIds,
    highlighted: signal<string | null>(null),
    setFilter: (q) => view.change({ q }),
    setSort: (s) => view.change({ s }),
    setColumns: (c) => view.change({ c }),
    setArchived: (next) => view.change({ archived: next }),
    setMode: (mode) => select({ mode, added: new Set(), removed: new Set() }),
    toggle: (runId) => select(toggleRun(runsList.rows.peek(), selection.peek(), runId)),
    noteMetrics() {
      const hasResults = chosenByPage.peek()?.some((column) => column.startsWith("summary."));
      if (isAuto.peek() && hasResults === false && ++looks <= LOOKS_MAX) void chooseColumns();
    },
    showOnly: (runId) => select({ mode: "none", added: new Set([runId]), removed: new Set() }),
    close() {
      closing.abort();
      stops.forEach((stop) => stop());
      runsList.close();
    },
  };
}
