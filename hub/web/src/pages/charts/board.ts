/**
 * The state of a board of charts: what is asked of the hub, what panels share, live news.
 */
import { computed, effect, signal, type ReadonlySignal, type Signal } from "@preact/signals";

import type { RunOverview } from "../../api/types.js";
import { makeChartLink, type ChartLink } from "../../parts/Chart.js";
import { askSeries } from "../../state/askSeries.js";
import { FrameCache, type SeriesQuestion } from "../../state/frameCache.js";
import { watchLive, type RunNews } from "../../state/live.js";
import type { ViewState } from "../../state/navigation.js";
import { throttled } from "../../state/throttled.js";
import { followGroups, type RunGroup } from "./groups.js";
import { makeMetricNames, type MetricNames } from "./metricNames.js";
import {
  askedWindow,
  axesOf,
  bucketsFor,
  CHARTS_FIELDS,
  zoomValue,
  type ChartsAxes,
  type ChartsValues,
} from "./view.js";

/** One for the page: going to a run and back finds the series again. */
export const frames = new FrameCache(askSeries);

export interface Board {
  readonly project: string;
  readonly values: ReadonlySignal<ChartsValues>;
  readonly axes: ReadonlySignal<ChartsAxes>;
  readonly runs: ReadonlySignal<readonly RunOverview[]>;
  /** False until it is known which runs are drawn. */
  readonly areRunsKnown: ReadonlySignal<boolean>;
  /** null: runs are drawn one by one. */
  readonly groups: ReadonlySignal<readonly RunGroup[] | null>;
  readonly link: ChartLink;
  readonly names: MetricNames;
  /** Width of a plot in device pixels. */
  readonly plotPixels: Signal<number>;
  readonly question: ReadonlySignal<SeriesQuestion>;
  /** The question without the zoom. */
  readonly wholeQuestion: ReadonlySignal<SeriesQuestion>;
  change(changes: Partial<ChartsValues>, options?: { push?: boolean }): void;
  zoomTo(range: readonly [number, number] | null): void;
  zoomBack(): void;
  /** A panel of this metric is near the screen, so news of it are wanted. */
  mount(metric: string): () => void;
  close(): void;
}

export interface BoardOptions {
  readonly project: string;
  readonly view: ViewState<typeof CHARTS_FIELDS>;
  readonly runs: ReadonlySignal<readonly RunOverview[]>;
  readonly areRunsKnown: ReadonlySignal<boolean>;
  readonly highlighted: Signal<string | null>;
  /** The list of runs changed. */
  onRuns(): void;
  onRun(news: RunNews): void;
}

const REFRESH_MS = 1500;
const WATCH_MS = 60;

export function makeBoard(options: BoardOptions): Board {
  const { project, view, runs } = options;
  const values = view.values;
  const axes = computed(() => axesOf(values.value));
  const plotPixels = signal(512);
  const names = makeMetricNames(project);
  const mounted = signal<ReadonlyMap<string, number>>(new Map());
  const zoomedFrom: ChartsValues["z"][] = [];

  const idsText = computed(() => JSON.stringify(runs.value.map((run) => run.run_id)));
  const ids = computed(() => JSON.parse(idsText.value) as string[]);
  const { groups, stop: stopGroups } = followGroups(
    project,
    computed(() => values.value.g),
    runs,
  );
  const groupIds = computed(
    () =>
      groups.value && Object.fromEntries(groups.value.map((group) => [group.name, group.runIds])),
  );
  const buckets = computed(() =>
    bucketsFor(plotPixels.value, groups.value?.length ?? ids.value.length),
  );
  const wholeQuestion = sameQuestion(() => ({
    project,
    x: axes.value.x,
    first: null,
    last: null,
    buckets: buckets.value,
    groups: groupIds.value,
  }));
  const question = sameQuestion(() => {
    const [first, last] = askedWindow(axes.value.zoom, axes.value.xUnit, axes.value.x);
    return { ...wholeQuestion.value, first, last };
  });

  const refreshNames = throttled(REFRESH_MS, () => names.refresh());
  const refreshRuns = throttled(REFRESH_MS, () => (options.onRuns(), names.refresh()));
  const watchOf = () => ({ project, runs: ids.peek(), metrics: [...mounted.peek().keys()] });
  const watching = watchLive(watchOf(), {
    onRuns: refreshRuns.call,
    onRun: options.onRun,
    onSeries(news) {
      frames.changed(project, news);
      const known = names.names.peek();
      if (
        known !== null &&
        news.some(({ metric }) => !mounted.peek().has(metric) && !known.includes(metric))
      )
        refreshNames.call();
    },
    onMissed() {
      frames.changedAll();
      refreshRuns.call();
    },
  });
  const rewatch = throttled(WATCH_MS, () => watching.change(watchOf()));
  const stops = [
    stopGroups,
    effect(() => names.show(values.value.m, ids.value)),
    effect(() => {
      mounted.value;
      ids.value;
      rewatch.call();
    }),
  ];

  return {
    project,
    values,
    axes,
    runs,
    areRunsKnown: options.areRunsKnown,
    groups,
    names,
    plotPixels,
    question,
    wholeQuestion,
    link: makeChartLink(options.highlighted),
    change: view.change,
    zoomTo(range) {
      zoomedFrom.push(values.peek().z);
      view.change({ z: zoomValue(range, axes.peek().xUnit) }, { push: true });
    },
    zoomBack() {
      if (values.peek().z !== null) view.change({ z: zoomedFrom.pop() ?? null }, { push: true });
    },
    mount(metric) {
      const add = (by: number) => {
        const next = new Map(mounted.peek());
        const count = (next.get(metric) ?? 0) + by;
        if (count > 0) next.set(metric, count);
        else next.delete(metric);
        mounted.value = next;
      };
      add(1);
      return () => add(-1);
    },
    close() {
      stops.forEach((stop) => stop());
      for (const timer of [refreshNames, refreshRuns, rewatch]) timer.cancel();
      watching.close();
      names.close();
    },
  };
}

/** A question that stays the same object while it says the same. */
function sameQuestion(make: () => SeriesQuestion): ReadonlySignal<SeriesQuestion> {
  let last: SeriesQuestion | null = null;
  let lastText = "";
  return computed(() => {
    const next = make();
    const text = JSON.stringify(next);
    if (last === null || text !== lastText) [last, lastText] = [next, text];
    return last;
  });
}
