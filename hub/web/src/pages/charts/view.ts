/** The query string's part for charts: readable keys, defaults left out. Pure but for its types. */
import { alignWindow } from "../../engine/buckets.js";
import type { AxisUnit, ScaleKind } from "../../engine/scales.js";
import { flag, list, number, oneOf, range, text, type ViewValues } from "../../state/query.js";

export const CHARTS_FIELDS = {
  /** Search for metrics: a regular expression (RE2). */
  m: text(),
  /** auto (each metric's own: its step metric or the step), step, time, relative or metric:NAME. */
  x: text("auto"),
  y: oneOf(["lin", "log", "symlog"], "lin"),
  lx: flag(),
  /** Half-life of the smoothing, in steps (in points on axes of time). */
  sm: number(0),
  b: oneOf(["on", "off"], "on"),
  /** Ranks of a run: one line, their mean, or a line each. */
  r: oneOf(["mean", "apart"], "mean"),
  /** Columns of panels; 0: by width. */
  w: number(0),
  /** Zoom in x: steps, or seconds on axes of time. With x=auto, of the panels over steps. */
  z: range(),
  /** With x=auto, zooms of the panels over another x: `first..last@x`. */
  zx: list(),
  /** Metric that fills the screen. */
  full: text(),
  /** Group runs by group, job_type, sweep, state or config.PATH. */
  g: text(),
  /** Histograms as a heat map or as ridges, and their counts on a logarithmic scale. */
  hm: oneOf(["heat", "ridge"], "heat"),
  hl: flag(),
  /** Folded sections. */
  fold: list(),
};

export type ChartsValues = ViewValues<typeof CHARTS_FIELDS>;

export interface ChartsAxes {
  readonly x: string;
  readonly xUnit: AxisUnit;
  readonly xName: string;
  readonly xScale: "linear" | "log";
  readonly yScale: ScaleKind;
  /** In the unit of x: steps, microseconds, or the metric's. */
  readonly zoom: readonly [number, number] | null;
}

const MICROSECONDS = 1_000_000;
const RANGE = range();

export function isAutomatic({ x }: Pick<ChartsValues, "x">): boolean {
  return x === "auto";
}

/** The x of a metric's panel: a person's choice holds for all, else what define_metric said. */
export function xFor(values: Pick<ChartsValues, "x">, stepMetric: string | undefined): string {
  if (!isAutomatic(values)) return isAxis(values.x) ? values.x : "step";
  switch (stepMetric) {
    case undefined:
    case "_step":
      return "step";
    case "_timestamp":
      return "time";
    case "_runtime":
      return "relative";
  }
  return `metric:${stepMetric}`;
}

/** The values as panels over `x` have them: a zoom links only panels of one x. */
export function valuesOver<V extends Pick<ChartsValues, "x" | "z" | "zx">>(values: V, x: string): V {
  if (!isAutomatic(values)) return values;
  return { ...values, x, z: x === "step" ? values.z : zoomOver(values.zx, x) };
}

/** What to change for a zoom of the panels over `x`. */
export function zoomChange(
  values: Pick<ChartsValues, "x" | "zx">,
  x: string,
  z: ChartsValues["z"],
): Partial<ChartsValues> {
  if (!isAutomatic(values) || x === "step") return { z };
  const others = values.zx.filter((item) => splitZoom(item)?.x !== x);
  return { zx: z === null ? others : [...others, `${RANGE.format(z)}@${x}`] };
}

function zoomOver(zooms: readonly string[], x: string): ChartsValues["z"] {
  return zooms.map(splitZoom).findLast((zoom) => zoom?.x === x)?.z ?? null;
}

function splitZoom(item: string): { x: string; z: ChartsValues["z"] } | null {
  const at = item.indexOf("@");
  return at < 0 ? null : { x: item.slice(at + 1), z: RANGE.parse(item.slice(0, at)) };
}

export function axesOf(values: Pick<ChartsValues, "x" | "y" | "lx" | "z">): ChartsAxes {
  const x = isAxis(values.x) ? values.x : "step";
  const xUnit: AxisUnit = x === "time" || x === "relative" ? x : "number";
  const factor = xUnit === "number" ? 1 : MICROSECONDS;
  const [first = null, last = null] = values.z ?? [];
  const isWhole = first !== null && last !== null && first < last;
  return {
    x,
    xUnit,
    xName: x.startsWith("metric:")
      ? x.slice("metric:".length)
      : x === "relative"
        ? "after"
        : x === "time"
          ? "at"
          : "step",
    // A logarithm of moments since 1970 says nothing.
    xScale: values.lx && x !== "time" ? "log" : "linear",
    yScale: values.y === "lin" ? "linear" : values.y,
    zoom: isWhole ? [first * factor, last * factor] : null,
  };
}

/** What x is, for a person. */
export function axisText({ x, xName }: ChartsAxes): string {
  return x === "time" ? "time" : x === "relative" ? "relative time" : xName;
}

/** The value of `z` for a zoom in the unit of x, rounded to what can be seen. */
export function zoomValue(
  zoom: readonly [number, number] | null,
  xUnit: AxisUnit,
): ChartsValues["z"] {
  if (zoom === null) return null;
  const factor = xUnit === "number" ? 1 : MICROSECONDS;
  const [first, last] = [zoom[0] / factor, zoom[1] / factor];
  const digits = Math.max(0, 4 - Math.floor(Math.log10(Math.max(last - first, 1e-9))));
  const round = (value: number) => Number(value.toFixed(Math.min(12, digits)));
  return round(first) < round(last) ? [round(first), round(last)] : null;
}

function isAxis(x: string): boolean {
  return (
    x === "step" ||
    x === "time" ||
    x === "relative" ||
    (x.startsWith("metric:") && x.length > "metric:".length)
  );
}

/** The window to ask for: the zoom with a margin, so that lines go on to the edges. */
export function askedWindow(
  zoom: readonly [number, number] | null,
  xUnit: AxisUnit,
  x: string,
): readonly [number | null, number | null] {
  if (zoom === null) return [null, null];
  const margin = (zoom[1] - zoom[0]) / 16;
  const [first, last] = alignWindow(zoom[0] - margin, zoom[1] + margin);
  if (x === "step") return [Math.max(0, Math.floor(first)), Math.ceil(last)];
  return xUnit === "number" ? [first, last] : [Math.round(first), Math.round(last)];
}

const RUNS_MANY = 100;
const BUCKETS_MANY = 256;
const BUCKETS_VERY_MANY = 128;

/** Buckets for a plot of so many device pixels: one to two pixels each, fewer for many runs. */
export function bucketsFor(pixels: number, runCount: number): number {
  const fine = Math.min(2048, Math.max(128, Math.ceil(pixels / 128) * 128));
  if (runCount > 3 * RUNS_MANY) return Math.min(fine, BUCKETS_VERY_MANY);
  return runCount > RUNS_MANY ? Math.min(fine, BUCKETS_MANY) : fine;
}
