/** The axes of a sweep's parallel coordinates: parameters that differ, then the metric. Pure. */
import type { Goal, Sweep, Trial } from "../../api/sweeps.js";
import { isValueMap, type Value, type ValueMap } from "../../api/values.js";
import { makeScale, padded, ticks, toPixel, type Scale, type ScaleKind } from "../../engine/scales.js";
import { formatExact, formatValue } from "../../parts/format.js";
import { flatParams, paramColumn, VALUE_COLUMN } from "./trials.js";

const TICKS = 5;
const CATEGORY_TICKS_MAX = 12;
/** From this ratio on, positive values are on a logarithmic scale. */
const LOG_RATIO = 100;
const VALUE_MARGIN = 0.04;

export interface AxisTick {
  /** 0 at the bottom, 1 at the top. */
  place: number;
  label: string;
}

export interface Axis {
  /** As the table's columns are named: `params.NAME` or `value`. */
  key: string;
  title: string;
  /** Texts of the categories, bottom first; null: the axis has numbers. */
  categories: readonly string[] | null;
  /** From a number, or a category's index, to a place. */
  scale: Scale;
  ticks: readonly AxisTick[];
  /** By trial, in the order of the trials: a number or a category's index, NaN where there is none. */
  values: Float64Array;
}

type Spec = Readonly<Record<string, Value>>;

/** Parameters with one value for all have no axis; nor has a metric that no trial has a value of. */
export function axesOf(sweep: Sweep, trials: readonly Trial[]): Axis[] {
  const flat = trials.map(({ params }) => flatParams(params));
  const axes: Axis[] = [];
  for (const [name, spec] of specsOf(sweep.config)) {
    const values = flat.map((params) => params.get(name));
    const axis = spec["values"] instanceof Array ? categoryAxis(name, spec["values"], values) : numberAxis(name, spec, values);
    if (axis !== null) axes.push(axis);
  }
  const metric = sweep.metric === null ? null : metricAxis(sweep.metric.name, trials);
  return metric === null ? axes : [...axes, metric];
}

/** Each parameter's specification by its dotted name. */
export function specsOf(config: ValueMap): Map<string, Spec> {
  const found = new Map<string, Spec>();
  const visit = (specs: Value | undefined, prefix: string): void => {
    if (!isValueMap(specs)) return;
    for (const [name, spec] of Object.entries(specs)) {
      if (!isValueMap(spec)) continue;
      if (isValueMap(spec["parameters"])) visit(spec["parameters"], `${prefix}${name}.`);
      else found.set(prefix + name, spec);
    }
  };
  visit(config["parameters"], "");
  return found;
}

function categoryAxis(name: string, all: readonly Value[], values: readonly (Value | undefined)[]): Axis | null {
  const places = new Map<string, number>();
  const texts: string[] = [];
  for (const value of all) {
    const key = keyOf(value);
    if (places.has(key)) continue;
    places.set(key, places.size);
    texts.push(formatValue(value) || (value === null ? "null" : '""'));
  }
  if (places.size < 2) return null;
  const scale = makeScale("linear", -0.5, texts.length - 0.5, 0, 1, { isWhole: true });
  const every = Math.ceil(texts.length / CATEGORY_TICKS_MAX);
  const marks = texts.map((label, index) => ({ place: toPixel(scale, index), label }));
  return {
    key: paramColumn(name),
    title: name,
    categories: texts,
    scale,
    ticks: marks.filter((_, index) => index % every === 0),
    values: Float64Array.from(values, (value) => places.get(keyOf(value ?? null)) ?? Number.NaN),
  };
}

/** 1, "1" and true are three categories. */
function keyOf(value: Value): string {
  return `${typeof value} ${formatExact(value)}`;
}

function numberAxis(name: string, spec: Spec, given: readonly (Value | undefined)[]): Axis | null {
  const values = Float64Array.from(given, (value) =>
    typeof value === "number" || typeof value === "bigint" ? Number(value) : Number.NaN,
  );
  const [low, high] = union(boundsOf(spec), extent(values));
  if (!(low < high)) return null;
  const isLog = String(spec["distribution"]).includes("log") && low > 0;
  const isWhole = values.every((value) => Number.isInteger(value));
  return madeAxis(paramColumn(name), name, values, makeScale(isLog ? "log" : "linear", low, high, 0, 1, { isWhole }));
}

function metricAxis(name: string, trials: readonly Trial[]): Axis | null {
  const values = Float64Array.from(trials, ({ value }) => (value !== null && Number.isFinite(value) ? value : Number.NaN));
  const scale = metricScale(values, 0, 1, VALUE_MARGIN);
  return scale === null ? null : madeAxis(VALUE_COLUMN, name, values, scale);
}

/** A scale for the values of a metric, logarithmic where they differ much; null without values. */
export function metricScale(values: Float64Array, start: number, end: number, margin: number): Scale | null {
  const [low, high] = extent(values);
  if (low > high) return null;
  const kind: ScaleKind = low > 0 && high / low >= LOG_RATIO ? "log" : "linear";
  const [from, to] = padded(kind, low, high, margin);
  return makeScale(kind, from, to, start, end);
}

function madeAxis(key: string, title: string, values: Float64Array, scale: Scale): Axis {
  const marks = ticks(scale, TICKS).map(({ pixel, label }) => ({ place: pixel, label }));
  return { key, title, categories: null, scale, ticks: marks, values };
}

/** The bounds that a specification names, in the parameter's own values. */
function boundsOf(spec: Spec): [number, number] {
  const [low, high] = [spec["min"], spec["max"]];
  if (typeof low !== "number" || typeof high !== "number") return [Infinity, -Infinity];
  const kind = String(spec["distribution"]);
  // Of 1/x, and of exponents: the trials themselves say where the values are.
  if (kind.includes("inv_")) return [Infinity, -Infinity];
  return kind === "log_uniform" || kind === "q_log_uniform" ? [Math.exp(low), Math.exp(high)] : [low, high];
}

function extent(values: Float64Array): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

function union(a: [number, number], b: [number, number]): [number, number] {
  return [Math.min(a[0], b[0]), Math.max(a[1], b[1])];
}

/** Places of all trials on an axis. */
export function placesOf(axis: Axis): Float32Array {
  return Float32Array.from(axis.values, (value) => toPixel(axis.scale, value));
}

/**
 * How good each trial is beside the others: 0 the worst, 1 the best, NaN without a value.
 *
 * By rank: one diverged trial does not make all others look alike.
 */
export function goodness(values: Float64Array, goal: Goal): Float32Array {
  const known = [...values.keys()].filter((index) => !Number.isNaN(values[index]!));
  const sign = goal === "minimize" ? -1 : 1;
  known.sort((a, b) => sign * (values[a]! - values[b]!));
  const found = new Float32Array(values.length).fill(Number.NaN);
  known.forEach((index, place) => (found[index] = known.length > 1 ? place / (known.length - 1) : 1));
  return found;
}

/** A value of an axis as text: a number, or a category's name. */
export function axisText(axis: Axis, value: number): string {
  return axis.categories === null ? formatValue(value) : (axis.categories[value] ?? "");
}
