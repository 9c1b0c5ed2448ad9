/**
 * Scales: a value's place on an axis, and where the axis has ticks.
 *
 * A scale is `pixel = offset + factor * transform(value)`. Values that the transform cannot hold
 * (0 and less on a logarithmic axis) give NaN, which drawing treats as a gap.
 */

import { formatClock, formatDuration, formatTick } from "./format.js";

export type ScaleKind = "linear" | "log" | "symlog";
/**
 * What the numbers of an axis are: plain, microseconds since 1970 UTC, or microseconds of duration.
 *
 * `time` is when something happened, in the viewer's zone. `utc` is a moment of logged data, as it was logged.
 */
export type AxisUnit = "number" | "time" | "utc" | "relative";

export interface Scale {
  readonly kind: ScaleKind;
  readonly unit: AxisUnit;
  /** True: only whole numbers have ticks. */
  readonly isWhole: boolean;
  /** Lowest and highest value. */
  readonly low: number;
  readonly high: number;
  readonly factor: number;
  readonly offset: number;
  /** Half-width of the linear zone of a symlog scale. */
  readonly linear: number;
}

export interface Tick {
  readonly value: number;
  readonly pixel: number;
  readonly label: string;
}

const MICROSECONDS = 1_000_000;

/** Axes end where numbers do: sums and powers beyond would be infinite, or 0 on a logarithmic axis. */
const LARGEST = Number.MAX_VALUE;
const SMALLEST = Number.MIN_VALUE;
/** All powers of ten that a number can have. */
const DECADE_FIRST = -324;
const DECADE_LAST = 308;
/** A shorter axis has no finite number of pixels for a value. */
const SPAN_LEAST = 1e-300;
const STEP_LEAST = 1e-307;

function clamped(kind: ScaleKind, value: number): number {
  return Math.min(LARGEST, Math.max(kind === "log" ? SMALLEST : -LARGEST, value));
}

/** high - low, of halves: the whole may be beyond the largest number. */
function halfSpan(low: number, high: number): number {
  return high / 2 - low / 2;
}

/** A scale from [low, high] to [start, end] pixels; an empty or invalid range is widened. */
export function makeScale(
  kind: ScaleKind,
  low: number,
  high: number,
  start: number,
  end: number,
  options: { unit?: AxisUnit; linear?: number; isWhole?: boolean } = {},
): Scale {
  const unit = options.unit ?? "number";
  const linear = options.linear ?? linearZone(low, high);
  let [from, to] = validRange(kind, low, high);
  if (isEmpty(kind, from, to, linear)) [from, to] = widen(kind, from, unit);
  const a = transform(kind, from, linear);
  const b = transform(kind, to, linear);
  const factor = (end - start) / 2 / halfSpan(a, b);
  const isWhole = options.isWhole ?? false;
  return { kind, unit, isWhole, low: from, high: to, factor, offset: start - factor * a, linear };
}

export function transform(kind: ScaleKind, value: number, linear: number): number {
  if (kind === "linear") return value;
  if (kind === "log") return value > 0 ? Math.log10(value) : Number.NaN;
  return Math.sign(value) * Math.log10(1 + Math.abs(value) / linear);
}

export function toPixel(scale: Scale, value: number): number {
  return scale.offset + scale.factor * transform(scale.kind, value, scale.linear);
}

export function toValue(scale: Scale, pixel: number): number {
  const t = (pixel - scale.offset) / scale.factor;
  if (scale.kind === "linear") return t;
  if (scale.kind === "log") return 10 ** t;
  return Math.sign(t) * scale.linear * (10 ** Math.abs(t) - 1);
}

/** Pixels of values[from..to) into `out` from index 0 on. */
export function project(
  scale: Scale,
  values: ArrayLike<number>,
  out: Float32Array | Float64Array,
  from: number,
  to: number,
): void {
  const { factor, offset, linear } = scale;
  if (scale.kind === "linear") {
    for (let i = from; i < to; i++) out[i - from] = offset + factor * values[i]!;
  } else if (scale.kind === "log") {
    for (let i = from; i < to; i++) {
      const value = values[i]!;
      out[i - from] = value > 0 ? offset + factor * Math.log10(value) : Number.NaN;
    }
  } else {
    for (let i = from; i < to; i++)
      out[i - from] = offset + factor * transform("symlog", values[i]!, linear);
  }
}

function validRange(kind: ScaleKind, low: number, high: number): [number, number] {
  let from = Number.isFinite(low) ? low : kind === "log" ? 1 : 0;
  let to = Number.isFinite(high) ? high : from;
  if (from > to) [from, to] = [to, from];
  if (kind === "log") {
    if (!(to > 0)) return [0.1, 1];
    if (!(from > 0)) from = clamped(kind, to / 1e4);
  }
  return [from, to];
}

/** Whether the range has no finite number of pixels for a unit of the axis. */
function isEmpty(kind: ScaleKind, from: number, to: number, linear: number): boolean {
  if (kind !== "log" && !(halfSpan(from, to) >= SPAN_LEAST / 2)) return true;
  return !(transform(kind, to, linear) > transform(kind, from, linear));
}

/** Half a minute on both sides of a moment; a tenth of a value, 1 around 0. */
function widen(kind: ScaleKind, value: number, unit: AxisUnit): [number, number] {
  if (kind === "log") return [clamped(kind, value / 2), clamped(kind, value * 2)];
  let half = value === 0 ? 1 : Math.max(Math.abs(value) * 0.1, SPAN_LEAST);
  if (unit === "time" || unit === "utc") half = 30 * MICROSECONDS;
  if (unit === "relative") half = Math.max(half, MICROSECONDS);
  return [clamped(kind, value - half), clamped(kind, value + half)];
}

/** The linear zone of a symlog scale: four decades below the largest value. */
export function linearZone(low: number, high: number): number {
  const largest = Math.max(Math.abs(low), Math.abs(high));
  if (!(largest > 0) || !Number.isFinite(largest)) return 1;
  return Math.max(10 ** (Math.floor(Math.log10(largest)) - 3), SPAN_LEAST / 1000);
}

const PLAIN = { unit: "number", isWhole: false, factor: 1, offset: 0 } as const;

/** Range with a margin of `share` on both sides, in the scale's own measure. */
export function padded(
  kind: ScaleKind,
  low: number,
  high: number,
  share: number,
): [number, number] {
  if (!(high > low)) return [low, high];
  const linear = linearZone(low, high);
  const from = transform(kind, low, linear);
  const to = transform(kind, high, linear);
  if (!Number.isFinite(from) || !Number.isFinite(to)) return [low, high];
  const extra = halfSpan(from, to) * (2 * share);
  const scale: Scale = { ...PLAIN, kind, low, high, linear };
  return [
    clamped(kind, toValue(scale, from - extra)),
    clamped(kind, toValue(scale, to + extra)),
  ];
}

/** At most about `wanted` ticks inside the scale, ascending. */
export function ticks(scale: Scale, wanted: number): Tick[] {
  const count = Math.max(2, wanted);
  if (scale.unit === "time" || scale.unit === "utc") return timeTicks(scale, count);
  if (scale.unit === "relative" && scale.kind === "linear") return durationTicks(scale, count);
  if (scale.kind === "log") return logTicks(scale, count);
  if (scale.kind === "symlog") return symlogTicks(scale, count);
  return place(scale, evenSteps(scale, count));
}

function evenSteps(scale: Scale, count: number): number[] {
  const step = niceStep(halfSpan(scale.low, scale.high) / (count / 2));
  const whole = scale.isWhole ? steps(scale.low, scale.high, wholeStep(step)) : [];
  // A view between two whole numbers has others, so that it says where it is.
  return whole.length > 0 ? whole : steps(scale.low, scale.high, step);
}

/** The nice step itself, 1 for smaller ones, 5 for 2.5. */
function wholeStep(step: number): number {
  if (step < 1) return 1;
  return Number.isInteger(step) ? step : niceStep(step * 1.01);
}

/** 1, 2, 2.5 or 5 times a power of ten, the smallest that is >= `least`; from 1e-307 to 1e308. */
export function niceStep(least: number): number {
  if (!(least > 0) || !Number.isFinite(least)) return 1;
  if (least <= STEP_LEAST) return STEP_LEAST;
  if (least > 1e308) return 1e308;
  const power = 10 ** Math.floor(Math.log10(least));
  for (const factor of [1, 2, 2.5, 5])
    if (factor * power >= least * (1 - 1e-9)) return factor * power;
  return 10 * power;
}

function steps(low: number, high: number, step: number): number[] {
  const from = Math.ceil(low / step - 1e-9);
  const to = Math.floor(high / step + 1e-9);
  const values: number[] = [];
  // Far from 0 a tiny step adds nothing, so the loop counts from 0; 1000 is far beyond any axis.
  for (let i = 0; i <= to - from && i < 1000; i++) {
    const value = (from + i) * step;
    if (i === 0 || value > values.at(-1)!) values.push(value);
  }
  return values;
}

function place(scale: Scale, values: readonly number[], label?: (value: number) => string): Tick[] {
  const step = values.length > 1 ? Math.abs(values[1]! - values[0]!) : 0;
  return values.map((value) => ({
    value,
    pixel: toPixel(scale, value),
    label: label === undefined ? formatTick(value, step) : label(value),
  }));
}

function logTicks(scale: Scale, count: number): Tick[] {
  const low = Math.log10(scale.low);
  const high = Math.log10(scale.high);
  const decades = high - low;
  if (decades < 1.2)
    return place(
      scale,
      evenSteps(scale, count).filter((v) => v > 0),
    );
  const every = Math.max(1, Math.ceil(decades / count));
  const factors = every > 1 || decades > count / 2 ? [1] : decades > count / 3 ? [1, 3] : [1, 2, 5];
  const values: number[] = [];
  const first = Math.max(DECADE_FIRST, Math.floor(low));
  const last = Math.min(DECADE_LAST, Math.ceil(high));
  for (let decade = first; decade <= last; decade++) {
    if (((decade % every) + every) % every !== 0) continue;
    for (const factor of factors) {
      const value = factor * 10 ** decade;
      if (scale.isWhole && value < 1) continue;
      if (!(value > (values.at(-1) ?? 0)) || value > LARGEST) continue;
      if (value >= scale.low * (1 - 1e-9) && value <= scale.high * (1 + 1e-9)) values.push(value);
    }
  }
  return place(
    scale,
    values,
    unitLabel(scale, (value) => formatTick(value, 0)),
  );
}

function symlogTicks(scale: Scale, count: number): Tick[] {
  const candidates: number[] = [0];
  const largest = Math.max(Math.abs(scale.low), Math.abs(scale.high));
  const first = Math.max(DECADE_FIRST, Math.ceil(Math.log10(scale.linear)));
  const last = Math.min(DECADE_LAST, Math.floor(Math.log10(largest) + 1e-9));
  for (let decade = first; decade <= last; decade++) {
    const value = 10 ** decade;
    if (!scale.isWhole || value >= 1) candidates.push(value, -value);
  }
  const inside = candidates.filter((v) => v >= scale.low && v <= scale.high).sort((a, b) => a - b);
  // Thin from the outside in, so that the largest magnitudes and 0 keep their labels.
  const apart = Math.abs(toPixel(scale, scale.high) - toPixel(scale, scale.low)) / (count + 1);
  const kept: number[] = [];
  for (const value of [...inside].sort((a, b) =>
    a === 0 ? -1 : b === 0 ? 1 : Math.abs(b) - Math.abs(a),
  )) {
    const pixel = toPixel(scale, value);
    if (kept.every((other) => Math.abs(toPixel(scale, other) - pixel) >= apart)) kept.push(value);
  }
  if (kept.length < 2)
    return place(scale, evenSteps(scale, count));
  return place(
    scale,
    kept.sort((a, b) => a - b),
    unitLabel(scale, (value) => formatTick(value, 0)),
  );
}

function unitLabel(scale: Scale, plain: (value: number) => string): (value: number) => string {
  return scale.unit === "relative" ? (value) => formatDuration(value / MICROSECONDS) : plain;
}

const DURATIONS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800,
  604800,
];

function durationStep(leastSeconds: number): number {
  if (leastSeconds < 1) return niceStep(leastSeconds);
  return DURATIONS.find((step) => step >= leastSeconds) ?? niceStep(leastSeconds / 604800) * 604800;
}

function durationTicks(scale: Scale, count: number): Tick[] {
  const step = durationStep((scale.high - scale.low) / MICROSECONDS / count);
  const values = steps(scale.low / MICROSECONDS, scale.high / MICROSECONDS, step).map(
    (seconds) => seconds * MICROSECONDS,
  );
  return place(scale, values, (value) => formatDuration(value / MICROSECONDS, step));
}

const YEAR_SECONDS = 300 * 86400;

/** Ticks on round times of day, on midnights from steps of a day on. */
function timeTicks(scale: Scale, count: number): Tick[] {
  const low = scale.low / MICROSECONDS;
  const high = scale.high / MICROSECONDS;
  const step = durationStep((high - low) / count);
  const values: number[] = [];
  const isUtc = scale.unit === "utc";
  if (isUtc) {
    values.push(...steps(low, high, step));
  } else if (step >= 86400) {
    const days = Math.round(step / 86400);
    const day = new Date(low * 1000);
    day.setHours(0, 0, 0, 0);
    for (let i = 0; i < 1000 && day.getTime() / 1000 <= high; i++) {
      if (day.getTime() / 1000 >= low) values.push(day.getTime() / 1000);
      day.setDate(day.getDate() + days);
    }
  } else {
    const zone = new Date(low * 1000).getTimezoneOffset() * 60;
    for (const local of steps(low - zone, high - zone, step)) values.push(local + zone);
  }
  return place(
    scale,
    values.map((seconds) => seconds * MICROSECONDS),
    (value) => formatClock(value / MICROSECONDS, step, { isUtc, hasYear: high - low > YEAR_SECONDS }),
  );
}
