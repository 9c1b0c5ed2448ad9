/**
 * The media of some runs: keys, steps, and the values of what is on the screen.
 *
 * Moving the slider sends one request for all panels near the screen; a newer move ends an older
 * request. The old values stay until the new ones are here.
 */
import { batch, computed, effect, signal, type ReadonlySignal } from "@preact/signals";

import { isAborted } from "../../api/errors.js";
import { listMediaAt, listMediaKeys, listMediaSteps } from "../../api/hub.js";
import type { MediaKey, MediaValue } from "../../api/types.js";
import { watchLive } from "../../state/live.js";
import type { ViewState } from "../../state/navigation.js";
import { throttled } from "../../state/throttled.js";
import { formatTables, readTables, tableKey } from "../datatable/address.js";
import { EMPTY_VIEW } from "../datatable/view.js";
import type { TableStore } from "./valueProps.js";
import { makePrefetcher, neighbours } from "./prefetch.js";
import { formatOwnSteps, MEDIA_FIELDS, ownSteps } from "./view.js";

const NEWS_MS = 1000;
const MOVE_MS = 60;
/** The hub's limits of one question. */
export const RUNS_MAX = 1000;
const METRICS_AT_ONCE = 100;
const VALUES_AT_ONCE = 2000;
/** Cells that are kept while they are off the screen. */
const CELLS_MAX = 5000;

/** What is near the screen: metrics, each with runs. */
export interface Wanted {
  readonly metrics: readonly string[];
  readonly runs: readonly string[];
}

export interface MediaBoard {
  /** null until it is known which media the runs have; those of former runs stay until then. */
  readonly keys: ReadonlySignal<readonly MediaKey[] | null>;
  /** All steps that have media, in order. */
  readonly steps: ReadonlySignal<readonly number[]>;
  readonly areStepsCut: ReadonlySignal<boolean>;
  readonly error: ReadonlySignal<Error | null>;
  /** The common step; null: the newest. */
  readonly step: ReadonlySignal<number | null>;
  readonly own: ReadonlySignal<ReadonlyMap<string, number | null>>;
  /** Steps of one metric, for a panel that has a step of its own. */
  stepsOf(metric: string): readonly number[];
  /** The values of a metric in a run, one a label; undefined: not asked for yet. */
  valuesOf(metric: string, runId: string): readonly MediaValue[] | undefined;
  /** `isFinal` false: the slider is still moving, the address waits. */
  moveTo(step: number | null, isFinal?: boolean): void;
  readonly tables: TableStore;
  /** Give a panel a step of its own; undefined links it again. */
  moveOwn(metric: string, step: number | null | undefined): void;
  want(wanted: Wanted): void;
  retry(): void;
  close(): void;
}

interface BoardOptions {
  project: string;
  view: ViewState<typeof MEDIA_FIELDS>;
  runIds: ReadonlySignal<readonly string[]>;
  /** The list of runs changed. */
  onRuns?(isFirst: boolean): void;
}

export function cellKey(metric: string, runId: string): string {
  return JSON.stringify([metric, runId]);
}

export function makeMediaBoard({ project, view, runIds, onRuns }: BoardOptions): MediaBoard {
  const keys = signal<readonly MediaKey[] | null>(null);
  const steps = signal<readonly number[]>([]);
  const areStepsCut = signal(false);
  const error = signal<Error | null>(null);
  const moving = signal<{ step: number | null } | null>(null);
  const cells = signal<ReadonlyMap<string, readonly MediaValue[]>>(new Map());
  const metricSteps = signal<ReadonlyMap<string, readonly number[]>>(new Map());
  const wanted = signal<Wanted>({ metrics: [], runs: [] });
  const step = computed(() => (moving.value ?? view.values.value).step);
  const own = computed(() => ownSteps(view.values.value.own));
  const tables = computed(() => readTables(view.values.value.tables));
  const asked = computed(() => JSON.stringify([wanted.value, step.value, [...own.value]]));
  const shownRuns = computed(() => JSON.stringify(runIds.value.slice(0, RUNS_MAX)));
  const prefetch = makePrefetcher();
  let outline: AbortController | null = null;
  let running: AbortController | null = null;
  /** The steps that the kept cells are of. */
  let cellsAre = "";

  function fail(failure: unknown): void {
    if (!isAborted(failure)) error.value = failure as Error;
  }

  /** Keys and steps. */
  async function loadOutline(): Promise<void> {
    outline?.abort();
    const mine = (outline = new AbortController());
    const abort = { signal: mine.signal };
    const runs = JSON.parse(shownRuns.peek()) as string[];
    // Without runs, as while their list is read, there is nothing to ask. No media is an answer.
    if (runs.length === 0) return;
    const ownMetrics = [...own.peek().keys()];
    try {
      const [found, all, ...each] = await Promise.all([
        listMediaKeys(project, runs, abort),
        listMediaSteps(project, { runs }, abort),
        ...ownMetrics.map((metric) => listMediaSteps(project, { runs, metric }, abort)),
      ]);
      if (outline !== mine) return;
      batch(() => {
        keys.value = found.keys;
        steps.value = all.steps;
        areStepsCut.value = all.is_cut;
        metricSteps.value = new Map(ownMetrics.map((metric, at) => [metric, each[at]!.steps]));
        error.value = null;
      });
    } catch (failure) {
      if (outline === mine) fail(failure);
    }
  }

  /** The values of what is near the screen. */
  async function loadValues(): Promise<void> {
    running?.abort();
    prefetch.close();
    const mine = (running = new AbortController());
    const { metrics, runs } = wanted.peek();
    if (metrics.length === 0 || runs.length === 0) return;
    const steppedTo = JSON.stringify([step.peek(), [...own.peek()]]);
    try {
      const values = await askAt(metrics, runs, step.peek(), mine.signal);
      if (running !== mine) return;
      const isSame = cellsAre === steppedTo && cells.peek().size < CELLS_MAX;
      const next = new Map(isSame ? cells.peek() : []);
      cellsAre = steppedTo;
      for (const metric of metrics) for (const run of runs) next.set(cellKey(metric, run), []);
      for (const value of values) {
        const key = cellKey(value.metric, value.run_id);
        next.set(key, [...(next.get(key) ?? []), value]);
      }
      batch(() => ((cells.value = next), (error.value = null)));
      void prefetch.read(neighbours(steps.peek(), step.peek()), (at, signal) => askAt(metrics, runs, at, signal));
    } catch (failure) {
      if (running === mine) fail(failure);
    }
  }

  const askAt = async (metrics: readonly string[], runs: readonly string[], at: number | null, signal: AbortSignal) => {
    const questions = questionsOf(metrics, runs, at, own.peek());
    const answers = await Promise.all(questions.map((question) => listMediaAt(project, question, { signal })));
    return answers.flatMap((answer) => answer.values);
  };

  const move = throttled(MOVE_MS, () => void loadValues());
  const news = throttled(NEWS_MS, () => {
    void loadOutline();
    void loadValues();
  });
  const watch = () => ({
    project,
    runs: JSON.parse(shownRuns.peek()) as string[],
    metrics: [],
    media: true,
  });
  const watching = watchLive(watch(), {
    onMedia: news.call,
    onMissed: news.call,
    onRuns: (isFirst) => onRuns?.(isFirst),
  });
  const stops = [
    effect(() => {
      void shownRuns.value;
      cells.value = new Map();
      if (keys.peek()?.length === 0) keys.value = null;
      watching.change(watch());
      void loadOutline();
    }),
    effect(() => {
      void asked.value;
      move.call();
    }),
  ];

  const changeOwn = (next: ReadonlyMap<string, number | null>) =>
    view.change({ own: formatOwnSteps(next) });
  return {
    keys,
    steps,
    areStepsCut,
    error,
    step,
    own,
    stepsOf: (metric) => metricSteps.value.get(metric) ?? steps.value,
    valuesOf: (metric, runId) => cells.value.get(cellKey(metric, runId)),
    moveTo(next, isFinal = true) {
      batch(() => {
        moving.value = isFinal ? null : { step: next };
        if (isFinal) view.change({ step: next });
      });
    },
    moveOwn(metric, next) {
      const all = new Map(own.peek());
      const isNew = !all.has(metric);
      if (next === undefined) all.delete(metric);
      else all.set(metric, next);
      changeOwn(all);
      if (isNew) void loadOutline();
    },
    tables: {
      viewOf: (metric, label) => tables.value.get(tableKey(metric, label)) ?? EMPTY_VIEW,
      change(metric, label, next) {
        const key = tableKey(metric, label);
        const before = tables.peek().get(key)?.search ?? "";
        const isTyping = before !== "" && next.search !== "" && next.search !== before;
        const all = new Map(tables.peek()).set(key, next);
        view.change({ tables: formatTables(all) }, { push: !isTyping });
      },
    },
    want(next) {
      if (JSON.stringify(next) !== JSON.stringify(wanted.peek())) wanted.value = next;
    },
    retry() {
      void loadOutline();
      void loadValues();
    },
    close() {
      stops.forEach((stop) => stop());
      watching.close();
      move.cancel();
      news.cancel();
      outline?.abort();
      running?.abort();
      prefetch.close();
    },
  };
}

export interface Question {
  readonly metrics: readonly string[];
  readonly runs: readonly string[];
  readonly step: number | null;
}

/** Requests for some metrics: those at one step together, within the hub's limit of values. Pure. */
export function questionsOf(
  metrics: readonly string[],
  runs: readonly string[],
  step: number | null,
  own: ReadonlyMap<string, number | null>,
): Question[] {
  const byStep = new Map<number | null, string[]>();
  for (const metric of metrics) {
    const at = own.has(metric) ? own.get(metric)! : step;
    byStep.set(at, [...(byStep.get(at) ?? []), metric]);
  }
  const atOnce = Math.max(1, Math.min(METRICS_AT_ONCE, Math.floor(VALUES_AT_ONCE / runs.length)));
  return [...byStep].flatMap(([at, together]) => {
    const parts: Question[] = [];
    for (let from = 0; from < together.length; from += atOnce)
      parts.push({ metrics: together.slice(from, from + atOnce), runs, step: at });
    return parts;
  });
}
