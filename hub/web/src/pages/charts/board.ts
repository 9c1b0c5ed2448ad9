/**
 * The state of a board of charts: requests to the hub, state that panels share, live events.
 */
import { computed, effect, signal, untracked, type ReadonlySignal, type Signal } from "@preact/signals";

import type { RunOverview } from "../../api/types.js";
import { askSeries } from "../../state/askSeries.js";
import { FrameCache, xMetricOf } from "../../state/frameCache.js";
import { watchLive, type RunNews, type SeriesNews } from "../../state/live.js";
import type { ViewState } from "../../state/navigation.js";
import { throttled } from "../../state/throttled.js";
import { theme } from "../../state/theme.js";
import { followGroups, type RunGroup } from "./groups.js";
import { makeLane, type Lane } from "./lane.js";
import { makeMetricNames, type MetricNames } from "./metricNames.js";
import { lineOwners, sameOwners, type LineOwner } from "./panelSeries.js";
import { CHARTS_FIELDS, xFor, type ChartsValues } from "./view.js";

/** One for the page: going to a run and back finds the series again. */
export const frames = new FrameCache(askSeries);

/** When each run that was drawn started. */
const startsKnown = new Map<string, number>();

/** A run that was deleted and started again has the same id and other series. */
function forgetRestarted(project: string, runs: readonly RunOverview[]): void {
  for (const { run_id, started_at } of runs) {
    if (started_at === null) continue;
    const key = JSON.stringify([project, run_id]);
    const before = startsKnown.get(key);
    startsKnown.set(key, started_at);
    if (before !== undefined && before !== started_at) frames.forget(project, run_id);
  }
}

export interface Board {
  readonly project: string;
  readonly values: ReadonlySignal<ChartsValues>;
  /** Panels name their x axis, as no toolbar does. */
  readonly namesX: boolean;
  /** Of the panels that have no x of their own. */
  readonly main: Lane;
  /** The panels among which the one of `metric` is; a component that calls it follows it. */
  laneOf(metric: string): Lane;
  readonly runs: ReadonlySignal<readonly RunOverview[]>;
  /** False until it is known which runs are drawn. */
  readonly areRunsKnown: ReadonlySignal<boolean>;
  /** null: runs are drawn one by one. */
  readonly groups: ReadonlySignal<readonly RunGroup[] | null>;
  /** Whose lines there are; the same object while names and colours are the same. */
  readonly owners: ReadonlySignal<readonly LineOwner[]>;
  readonly highlighted: Signal<string | null>;
  readonly names: MetricNames;
  /** The newest series that the hub rang for. */
  readonly news: ReadonlySignal<readonly SeriesNews[]>;
  /** Counts up when news may have been missed. */
  readonly missed: ReadonlySignal<number>;
  /** Width of a plot in device pixels. */
  readonly plotPixels: Signal<number>;
  /** Width of the plot that fills the screen. */
  readonly fullPixels: Signal<number>;
  change(changes: Partial<ChartsValues>, options?: { push?: boolean }): void;
  /** Draw all panels over another x, the whole of it. */
  chooseX(x: string): void;
  readonly isZoomed: ReadonlySignal<boolean>;
  /** End all zooms. */
  showAll(): void;
  /** A panel of this metric is near the screen, so news of it are wanted. */
  mount(metric: string): () => void;
  close(): void;
}

export interface BoardOptions {
  readonly project: string;
  readonly view: ViewState<typeof CHARTS_FIELDS>;
  readonly namesX?: boolean;
  readonly runs: ReadonlySignal<readonly RunOverview[]>;
  readonly areRunsKnown: ReadonlySignal<boolean>;
  /** How many runs will be drawn when all are loaded: so buckets stay while they come in. */
  readonly expectedRuns?: ReadonlySignal<number>;
  readonly highlighted: Signal<string | null>;
  /** The list of runs changed. */
  onRuns(isFirst: boolean): void;
  onRun(news: RunNews): void;
  /** New points of these runs have come. */
  onPoints?(runIds: ReadonlySet<string>): void;
}

const REFRESH_MS = 1500;
const NAMES_MS = 500;
const WATCH_MS = 60;

export function makeBoard(options: BoardOptions): Board {
  const { project, view, runs } = options;
  const values = view.values;
  const plotPixels = signal(512);
  const names = makeMetricNames(project);
  const newest = signal<readonly SeriesNews[]>([]);
  const missed = signal(0);
  const mounted = signal<ReadonlyMap<string, number>>(new Map());

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
  let lastOwners: readonly LineOwner[] = [];
  const owners = computed(() => {
    const next = lineOwners(runs.value, groups.value, theme.value);
    if (!sameOwners(next, lastOwners)) lastOwners = next;
    return lastOwners;
  });
  const fullPixels = signal(1024);
  const lineCount = computed(
    () => groups.value?.length ?? Math.max(ids.value.length, options.expectedRuns?.value ?? 0),
  );
  const lanes = new Map<string, Lane>();
  const laneOver = (x: string): Lane => {
    const lane =
      lanes.get(x) ??
      makeLane({
        project,
        view,
        x,
        lineCount,
        groupIds,
        plotPixels,
        fullPixels,
        highlighted: options.highlighted,
      });
    lanes.set(x, lane);
    return lane;
  };
  const xOf = (metric: string) => xFor(values.value, names.stepMetrics.value.get(metric));
  const xsMounted = computed(() => new Set([...mounted.value.keys()].map(xOf)));

  const refreshRuns = throttled(REFRESH_MS, () => (options.onRuns(false), names.refresh()));
  const refreshNames = throttled(NAMES_MS, names.refresh);
  const metricsTold = new Set<string>();
  const watchOf = () => {
    const onX = [...xsMounted.peek()].flatMap((x) => xMetricOf({ x }) ?? []);
    return { project, runs: ids.peek(), metrics: [...new Set([...mounted.peek().keys(), ...onX])] };
  };
  const watching = watchLive(watchOf(), {
    onRuns: (isFirst) => (isFirst ? options.onRuns(true) : refreshRuns.call()),
    onRun: options.onRun,
    onSeries(news) {
      frames.changed(project, news);
      newest.value = news;
      options.onPoints?.(new Set(news.map(({ run_id }) => run_id)));
    },
    onMetrics(runIds) {
      // Of a run that has ended the names were asked for with it: its first news are old.
      const runsOn = new Set(runs.peek().flatMap((run) => (run.state === "running" ? run.run_id : [])));
      const isNew = runIds.some((id) => metricsTold.has(id) || runsOn.has(id));
      for (const id of runIds) metricsTold.add(id);
      if (isNew) refreshNames.call();
    },
    onMissed() {
      frames.changedAll();
      missed.value++;
      refreshRuns.call();
    },
  });
  const rewatch = throttled(WATCH_MS, () => watching.change(watchOf()));
  const stops = [
    stopGroups,
    effect(() => {
      const now = runs.value;
      untracked(() => forgetRestarted(project, now));
    }),
    effect(() => {
      if (options.areRunsKnown.value) names.show(values.value.m, ids.value);
    }),
    effect(() => {
      mounted.value;
      ids.value;
      xsMounted.value;
      rewatch.call();
    }),
  ];

  return {
    project,
    namesX: options.namesX ?? false,
    values,
    get main() {
      return laneOver(xFor(values.value, undefined));
    },
    laneOf: (metric) => laneOver(xOf(metric)),
    runs,
    areRunsKnown: options.areRunsKnown,
    groups,
    owners,
    names,
    news: newest,
    missed,
    plotPixels,
    fullPixels,
    highlighted: options.highlighted,
    change: view.change,
    chooseX: (x) => view.change({ x, z: null, zx: [] }),
    isZoomed: computed(() => values.value.z !== null || values.value.zx.length > 0),
    showAll() {
      for (const lane of lanes.values()) lane.leaveZoom();
      view.change({ z: null, zx: [] }, { push: true });
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
      for (const timer of [refreshRuns, refreshNames, rewatch]) timer.cancel();
      watching.close();
      names.close();
    },
  };
}
