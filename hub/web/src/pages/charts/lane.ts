/** Panels of a board that are drawn over the same x: they share the zoom, the cursor, the question. */
import { computed, type ReadonlySignal, type Signal } from "@preact/signals";

import { makeChartLink, type ChartLink } from "../../parts/chartProps.js";
import type { SeriesQuestion } from "../../state/frameCache.js";
import type { ViewState } from "../../state/navigation.js";
import {
  askedWindow,
  axesOf,
  bucketsFor,
  valuesOver,
  zoomChange,
  zoomValue,
  type CHARTS_FIELDS,
  type ChartsAxes,
  type ChartsValues,
} from "./view.js";

export interface Lane {
  readonly axes: ReadonlySignal<ChartsAxes>;
  readonly link: ChartLink;
  readonly question: ReadonlySignal<SeriesQuestion>;
  /** The question without the zoom. */
  readonly wholeQuestion: ReadonlySignal<SeriesQuestion>;
  /** The finer questions of a plot that fills the screen. */
  readonly fullQuestion: ReadonlySignal<SeriesQuestion>;
  readonly fullWholeQuestion: ReadonlySignal<SeriesQuestion>;
  /** `wheel` zooms in small steps, which leave no entry for the Back button. */
  zoomTo(range: readonly [number, number] | null, how?: "drag" | "wheel" | "back"): void;
  zoomBack(): void;
  /** Note that the zoom is about to end from outside: *back* returns to it. */
  leaveZoom(): void;
}

export interface LaneOptions {
  readonly project: string;
  readonly view: ViewState<typeof CHARTS_FIELDS>;
  /** step, time, relative or metric:NAME. */
  readonly x: string;
  readonly lineCount: ReadonlySignal<number>;
  readonly groupIds: ReadonlySignal<SeriesQuestion["groups"]>;
  /** Device pixels of a plot, and of one that fills the screen. */
  readonly plotPixels: ReadonlySignal<number>;
  readonly fullPixels: ReadonlySignal<number>;
  readonly highlighted: Signal<string | null>;
}

export function makeLane(options: LaneOptions): Lane {
  const { project, view, x, lineCount, groupIds } = options;
  const values = computed(() => valuesOver(view.values.value, x));
  const axes = computed(() => axesOf({ ...values.value, x }));
  const zoomedFrom: ChartsValues["z"][] = [];
  const wholeFor = (pixels: ReadonlySignal<number>) =>
    sameQuestion(() => ({
      project,
      x,
      first: null,
      last: null,
      buckets: bucketsFor(pixels.value, lineCount.value),
      ranks: groupIds.value === null ? values.value.r : "mean",
      groups: groupIds.value,
    }));
  const zoomed = (whole: ReadonlySignal<SeriesQuestion>) =>
    sameQuestion(() => {
      const { zoom, xUnit } = axes.value;
      const [first, last] = askedWindow(zoom, xUnit, x);
      return { ...whole.value, first, last };
    });
  const change = (z: ChartsValues["z"], push: boolean) =>
    view.change(zoomChange(view.values.peek(), x, z), { push });
  const wholeQuestion = wholeFor(options.plotPixels);
  const fullWholeQuestion = wholeFor(options.fullPixels);
  return {
    axes,
    link: makeChartLink(options.highlighted),
    question: zoomed(wholeQuestion),
    wholeQuestion,
    fullQuestion: zoomed(fullWholeQuestion),
    fullWholeQuestion,
    zoomTo(range, how = "drag") {
      if (how !== "wheel") zoomedFrom.push(values.peek().z);
      change(zoomValue(range, axes.peek().xUnit), how !== "wheel");
    },
    zoomBack() {
      if (values.peek().z !== null) change(zoomedFrom.pop() ?? null, true);
    },
    leaveZoom() {
      if (values.peek().z !== null) zoomedFrom.push(values.peek().z);
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
