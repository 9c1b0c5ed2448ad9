/** Where the parts of a table's chart are, in pixels. Pure. */
import { makeScale, padded, ticks, toPixel, type AxisUnit } from "../../engine/scales.js";
import type { Axes } from "../../engine/theme.js";
import type { Bin, Series } from "./chartData.js";

/** The width of a character of the smallest type, a little more than the average. */
export const GLYPH = 6.2;
const ROW_HEIGHT = 22;
const AXIS_HEIGHT = 34;
const AXIS_HEIGHT_SMALL = 16;

export type Range = readonly [number, number];

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export interface Frame {
  readonly box: Box;
  readonly axes: Axes;
}

interface FrameOptions {
  readonly width: number;
  readonly height: number;
  /** True: no titles of axes, few ticks. */
  readonly isSmall: boolean;
  readonly x: Range;
  readonly y: Range;
  readonly xUnit?: AxisUnit;
  readonly yUnit?: AxisUnit;
  /** True: ticks of y are whole numbers. */
  readonly isCount?: boolean;
}

/** Axes below and left of a plot; the labels of y have as much room as they need. */
export function frameOf(options: FrameOptions): Frame {
  const { width, height, isSmall, x, y, xUnit = "number", yUnit = "number", isCount = false } = options;
  const [top, bottom] = [8, height - (isSmall ? AXIS_HEIGHT_SMALL : AXIS_HEIGHT)];
  const yScale = makeScale("linear", ...y, bottom, top, { unit: yUnit, isWhole: isCount });
  const yTicks = ticks(yScale, isSmall ? 3 : Math.max(2, (bottom - top) / 48));
  const longest = Math.max(0, ...yTicks.map(({ label }) => label.length));
  const left = Math.min(width / 2, longest * GLYPH + (isSmall ? 8 : 26));
  const right = width - (isSmall ? 8 : 16);
  const xScale = makeScale("linear", ...x, left, right, { unit: xUnit });
  const xTicks = ticks(xScale, isSmall ? 2 : Math.max(2, (right - left) / 80));
  return { box: { left, top, right, bottom }, axes: { x: xScale, y: yScale, xTicks, yTicks } };
}

/** The ranges of all points, with a margin; from 0 to 1 for curves of rates. */
export function rangesOf(series: readonly Series[], isCurve: boolean): { x: Range; y: Range } {
  const x = rangeOf(series.map((each) => each.x));
  const y = rangeOf(series.map((each) => each.y));
  const areRates = isCurve && [...x, ...y].every((each) => each >= 0 && each <= 1);
  if (areRates) return { x: padded("linear", 0, 1, 0.01), y: padded("linear", 0, 1, 0.02) };
  return { x: padded("linear", ...x, 0.03), y: padded("linear", ...y, 0.06) };
}

function rangeOf(lists: readonly (readonly number[])[]): Range {
  let [low, high] = [Infinity, -Infinity];
  for (const values of lists) for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return low > high ? [0, 1] : [low, high];
}

/** The path through a series; one point alone has none. */
export function linePath({ x, y }: Series, axes: Axes): string {
  if (x.length < 2) return "";
  return x.map((value, at) => `${at === 0 ? "M" : "L"}${place(axes, value, y[at]!)}`).join("");
}

/** Each point as a line without length: with round ends, it is a dot. */
export function dotsPath({ x, y }: Series, axes: Axes): string {
  return x.map((value, at) => `M${place(axes, value, y[at]!)}h0`).join("");
}

function place(axes: Axes, x: number, y: number): string {
  return `${round(toPixel(axes.x, x))} ${round(toPixel(axes.y, y))}`;
}

export function round(pixel: number): number {
  return Math.round(pixel * 10) / 10;
}

/** A point of a chart: the series, and the place in it. */
export interface PointAt {
  readonly series: number;
  readonly at: number;
}

/** The point that is nearest to a place on the screen; null without any. */
export function nearestPoint(series: readonly Series[], axes: Axes, px: number, py: number): PointAt | null {
  let found: PointAt | null = null;
  let least = Infinity;
  series.forEach(({ x, y }, number) => {
    for (let at = 0; at < x.length; at++) {
      const distance = (toPixel(axes.x, x[at]!) - px) ** 2 + (toPixel(axes.y, y[at]!) - py) ** 2;
      if (distance < least) [least, found] = [distance, { series: number, at }];
    }
  });
  return found;
}

/** Rectangles of bins; the first pixel between two stays free. */
export function binRects(bins: readonly Bin[], { axes, box }: Frame): { x: number; y: number; width: number; height: number }[] {
  return bins.map(({ low, high, count }) => {
    const [from, to] = [toPixel(axes.x, low), toPixel(axes.x, high)];
    const top = toPixel(axes.y, count);
    return { x: round(from + 0.5), y: round(top), width: Math.max(0.5, round(to - from - 1)), height: round(box.bottom - top) };
  });
}

export interface BarsFrame {
  readonly height: number;
  readonly rowHeight: number;
  /** Characters of a label that have room. */
  readonly letters: number;
  readonly frame: Frame;
}

/** Bars from left to right, one below the other, with the labels left of them. */
export function barsFrame(
  labels: readonly string[],
  values: readonly number[],
  options: { width: number; height: number; isSmall: boolean; unit?: AxisUnit },
): BarsFrame {
  const { width, isSmall, unit = "number" } = options;
  const axis = isSmall ? AXIS_HEIGHT_SMALL : AXIS_HEIGHT;
  const rowHeight = isSmall
    ? Math.min(ROW_HEIGHT, (options.height - axis - 8) / Math.max(1, labels.length))
    : ROW_HEIGHT;
  const bottom = 8 + rowHeight * labels.length;
  const longest = Math.max(0, ...labels.map((label) => label.length));
  const labelWidth = Math.min(longest * GLYPH + 8, width * 0.35);
  const [left, right] = [labelWidth + (isSmall ? 8 : 24), width - (isSmall ? 8 : 72)];
  const [low, high] = rangeOf([[0], values]);
  const x = makeScale("linear", low, high, left, right, { unit });
  const y = makeScale("linear", 0, Math.max(1, labels.length), 8, bottom);
  const xTicks = ticks(x, isSmall ? 2 : Math.max(2, (right - left) / 90));
  return {
    height: bottom + axis,
    rowHeight,
    // A little more: (4 * 6.2 + 8 - 8) / 6.2 is below 4.
    letters: Math.max(1, Math.floor((labelWidth - 8) / GLYPH + 1e-6)),
    frame: { box: { left, top: 8, right, bottom }, axes: { x, y, xTicks, yTicks: [] } },
  };
}

export interface MatrixFrame {
  readonly left: number;
  readonly top: number;
  readonly cellWidth: number;
  readonly cellHeight: number;
  readonly width: number;
  readonly height: number;
  readonly hasNumbers: boolean;
  /** Characters of a class's name that have room. */
  readonly letters: number;
}

export const NUMBERS_MAX = 50;
/** A matrix without numbers is seen as a whole. */
const DENSE_SIDE = 520;

/** The cells of a matrix; with numbers they are large enough to read, also where that needs more room. */
export function matrixFrame(
  classes: readonly string[],
  longestNumber: number,
  options: { width: number; height: number; isSmall: boolean },
): MatrixFrame {
  const { width, height, isSmall } = options;
  const count = Math.max(1, classes.length);
  if (isSmall) {
    const side = Math.min((width - 16) / count, (height - 16) / count);
    const sides = { width, height, cellWidth: side, cellHeight: side };
    return { left: (width - side * count) / 2, top: (height - side * count) / 2, ...sides, hasNumbers: false, letters: 0 };
  }
  const longest = Math.max(1, ...classes.map((name) => name.length));
  const hasNumbers = classes.length <= NUMBERS_MAX;
  const letters = hasNumbers ? Math.max(1, Math.min(longest, 20, Math.floor((width * 0.3) / GLYPH))) : 0;
  // The title of each axis, and the names, which stand on end above the columns.
  const left = 22 + letters * GLYPH;
  const top = 24 + letters * GLYPH;
  const least = hasNumbers ? Math.max(20, longestNumber * GLYPH + 6) : 2;
  const most = hasNumbers ? 72 : DENSE_SIDE / count;
  const cellWidth = Math.max(least, Math.min(most, (width - left - 8) / count));
  const cellHeight = hasNumbers ? Math.min(40, Math.max(20, cellWidth * 0.7)) : cellWidth;
  return { left, top, cellWidth, cellHeight, width: left + cellWidth * count + 8, height: top + cellHeight * count + 8, hasNumbers, letters };
}

/** The first characters of a text that does not fit. */
export function shortened(text: string, letters: number): string {
  const characters = [...text];
  return characters.length <= letters ? text : `${characters.slice(0, Math.max(1, letters - 1)).join("")}…`;
}
