/**
 * Draws a chart: grid and data on one canvas, what follows the pointer on a second one.
 */

import type { Layout } from "./layout.js";
import { FONT_PIXELS } from "./layout.js";
import { type Line, visiblePart } from "./lines.js";
import { type MarkKind, marksOf } from "./marks.js";
import { Density, densityRamp, packColor, Raster } from "./raster.js";
import { project, type Scale, type Tick, toPixel } from "./scales.js";

export interface ChartTheme {
  readonly ink: string;
  readonly ink3: string;
  readonly grid: string;
  readonly card: string;
  readonly accent: string;
  /** Density from sparse to dense. */
  readonly ramp: readonly string[];
  readonly font: string;
}

export interface Axes {
  readonly x: Scale;
  readonly y: Scale;
  readonly xTicks: readonly Tick[];
  readonly yTicks: readonly Tick[];
}

export type Technique = "stroke" | "raster" | "density";

/** Strokes are smoother and need a canvas path; beyond this many lines the rasteriser is faster. */
const STROKES_MAX = 30;
/** More lines than this hide each other: their density is drawn. */
const LINES_MAX = 100;
/** So few lines may be thicker on fine screens. */
const THICK_MAX = 12;
const BAND_ALPHA = 34;
const MARK_APART_PIXELS = 7;
/** Buckets up to this wide are drawn as steps where the density of many runs is shown. */
const STEP_PIXELS = 6;
const DIMMED_SHARE = 0.6;

export function techniqueFor(lineCount: number): Technique {
  if (lineCount > LINES_MAX) return "density";
  return lineCount > STROKES_MAX ? "raster" : "stroke";
}

export function drawGrid(
  context: CanvasRenderingContext2D,
  layout: Layout,
  axes: Axes,
  theme: ChartTheme,
): void {
  const { width, height, ratio, left, right, bottom } = layout;
  context.clearRect(0, 0, width, height);
  context.font = `${FONT_PIXELS * ratio}px ${theme.font}`;
  context.lineWidth = 1;
  context.strokeStyle = theme.grid;
  context.beginPath();
  for (const tick of axes.yTicks) {
    const y = Math.round(tick.pixel) + 0.5;
    context.moveTo(left, y);
    context.lineTo(right, y);
  }
  context.moveTo(left, bottom + 0.5);
  context.lineTo(right, bottom + 0.5);
  for (const tick of axes.xTicks) {
    const x = Math.round(tick.pixel) + 0.5;
    context.moveTo(x, bottom + 1);
    context.lineTo(x, bottom + Math.round(4 * ratio));
  }
  context.stroke();
  context.fillStyle = theme.ink3;
  context.textBaseline = "middle";
  context.textAlign = "right";
  const half = (FONT_PIXELS * ratio) / 2;
  for (const tick of axes.yTicks) {
    context.fillText(
      tick.label,
      left - 6 * ratio,
      Math.min(Math.max(tick.pixel, half), height - half),
    );
  }
  drawXLabels(context, layout, axes.xTicks);
}

/** Labels stay inside the picture and never overlap: one that would is left out. */
function drawXLabels(
  context: CanvasRenderingContext2D,
  layout: Layout,
  ticks: readonly Tick[],
): void {
  const { width, height, ratio, bottom } = layout;
  context.textAlign = "left";
  context.textBaseline = "alphabetic";
  const y = Math.min(height - 3 * ratio, bottom + 16 * ratio);
  let free = 0;
  for (const tick of ticks) {
    const size = context.measureText(tick.label).width;
    const x = Math.min(Math.max(tick.pixel - size / 2, 0), width - size - 4 * ratio);
    if (x < free) continue;
    context.fillText(tick.label, x, y);
    free = x + size + 8 * ratio;
  }
}

export interface DataOptions {
  readonly bands: boolean;
  readonly technique: Technique;
}

/** Reused between draws: projected pixels of one line. */
interface Scratch {
  xs: Float32Array;
  ys: Float32Array;
  low: Float32Array;
  high: Float32Array;
}

let scratch: Scratch = makeScratch(1024);

function makeScratch(length: number): Scratch {
  return {
    xs: new Float32Array(length),
    ys: new Float32Array(length),
    low: new Float32Array(length),
    high: new Float32Array(length),
  };
}

/** Projects the visible part of a line into the scratch arrays, relative to the plot's corner. */
function projectLine(
  line: Line,
  axes: Axes,
  layout: Layout,
  bands: boolean,
): { n: number; from: number } {
  const [from, to] = visiblePart(line.xs, axes.x.low, axes.x.high);
  const n = to - from;
  if (n > scratch.xs.length) scratch = makeScratch(n * 2);
  const x = { ...axes.x, offset: axes.x.offset - layout.left };
  const y = { ...axes.y, offset: axes.y.offset - layout.top };
  project(x, line.xs, scratch.xs, from, to);
  project(y, line.ys, scratch.ys, from, to);
  if (bands) {
    project(y, line.low, scratch.low, from, to);
    project(y, line.high, scratch.high, from, to);
  }
  return { n, from };
}

/** Draws all lines. The context's canvas is as large as the layout. */
export function drawData(
  context: CanvasRenderingContext2D,
  layout: Layout,
  axes: Axes,
  lines: readonly Line[],
  theme: ChartTheme,
  options: DataOptions,
): void {
  const { left, top, right, bottom, ratio } = layout;
  const [width, height] = [right - left, bottom - top];
  if (width <= 0 || height <= 0) return;
  const { technique } = options;
  const bands = options.bands && technique !== "density";
  if (technique !== "stroke" || bands) {
    const image = context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    if (technique === "density") paintDensity(pixels, width, height, lines, axes, layout, theme);
    else
      paintLines(new Raster(pixels, width, height), lines, axes, layout, {
        bands,
        strokes: technique === "raster",
      });
    blit(context, image, left, top);
  }
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  if (technique === "stroke") {
    const thickness = lines.length <= THICK_MAX ? Math.max(1, Math.round(ratio)) : 1;
    for (const line of lines) strokeLine(context, layout, axes, line, line.series.color, thickness);
  }
  if (technique !== "density") for (const line of lines) drawMarks(context, layout, axes, line);
  context.restore();
}

let stage: CanvasRenderingContext2D | null = null;

/** putImageData would replace the grid below, also with what is transparent. */
function blit(
  context: CanvasRenderingContext2D,
  image: ImageData,
  left: number,
  top: number,
): void {
  stage ??= document.createElement("canvas").getContext("2d")!;
  const { canvas } = stage;
  if (canvas.width < image.width) canvas.width = image.width;
  if (canvas.height < image.height) canvas.height = image.height;
  stage.putImageData(image, 0, 0);
  const { width, height } = image;
  context.drawImage(canvas, 0, 0, width, height, left, top, width, height);
}

function paintLines(
  raster: Raster,
  lines: readonly Line[],
  axes: Axes,
  layout: Layout,
  options: { bands: boolean; strokes: boolean },
): void {
  if (options.bands) {
    // Many bands over each other would turn into one grey mass: the more there are, the fainter.
    const alpha = Math.max(8, Math.round(BAND_ALPHA / Math.sqrt(Math.max(1, lines.length / 6))));
    for (const line of lines) {
      const { n, from } = projectLine(line, axes, layout, true);
      raster.band(
        scratch.xs,
        scratch.low,
        scratch.high,
        n,
        packColor(line.series.color),
        alpha,
        line.gaps,
        from,
      );
    }
  }
  if (!options.strokes) return;
  for (const line of lines) {
    const { n, from } = projectLine(line, axes, layout, false);
    raster.line(scratch.xs, scratch.ys, n, packColor(line.series.color), line.gaps, from);
  }
}

function paintDensity(
  pixels: Uint32Array,
  width: number,
  height: number,
  lines: readonly Line[],
  axes: Axes,
  layout: Layout,
  theme: ChartTheme,
): void {
  const density = new Density(width, height);
  for (const line of lines) {
    const { n, from } = projectLine(line, axes, layout, false);
    const isDense = n > 1 && (scratch.xs[n - 1]! - scratch.xs[0]!) / (n - 1) <= STEP_PIXELS;
    if (isDense) density.steps(scratch.xs, scratch.ys, n, 2 * STEP_PIXELS);
    else density.line(scratch.xs, scratch.ys, n, line.gaps, from);
  }
  density.paint(pixels, densityRamp(theme.ramp));
}

function strokeLine(
  context: CanvasRenderingContext2D,
  layout: Layout,
  axes: Axes,
  line: Line,
  color: string,
  thickness: number,
): void {
  const { n, from } = projectLine(line, axes, layout, false);
  const { xs, ys } = scratch;
  const { left, top, ratio } = layout;
  context.lineWidth = thickness;
  context.lineJoin = thickness > 1 ? "round" : "miter";
  context.strokeStyle = color;
  context.beginPath();
  let joined = false;
  const dots: number[] = [];
  for (let i = 0; i < n; i++) {
    const [x, y] = [xs[i]!, ys[i]!];
    if (!(x - x === 0 && y - y === 0)) {
      joined = false;
      continue;
    }
    const after = i + 1 < n && ys[i + 1]! - ys[i + 1]! === 0 && line.gaps?.[from + i + 1] !== 1;
    if (joined && line.gaps?.[from + i] !== 1) context.lineTo(left + x, top + y);
    else if (after) context.moveTo(left + x, top + y);
    else dots.push(left + x, top + y);
    joined = true;
  }
  context.stroke();
  if (dots.length === 0) return;
  context.fillStyle = color;
  const size = 2 * ratio;
  for (let i = 0; i < dots.length; i += 2)
    context.fillRect(dots[i]! - size, dots[i + 1]! - size, 2 * size, 2 * size);
}

/** NaN: a cross at the bottom; +Inf and -Inf: an arrow at the top and at the bottom. */
function drawMarks(
  context: CanvasRenderingContext2D,
  layout: Layout,
  axes: Axes,
  line: Line,
): void {
  const { ratio, top, bottom } = layout;
  const at: Record<MarkKind, number> = {
    nan: -Infinity,
    positiveInf: -Infinity,
    negativeInf: -Infinity,
  };
  const size = 3 * ratio;
  for (const mark of marksOf(line.series.data)) {
    const x = toPixel(axes.x, mark.x);
    if (!(x >= layout.left && x <= layout.right) || x - at[mark.kind] < MARK_APART_PIXELS * ratio)
      continue;
    at[mark.kind] = x;
    context.strokeStyle = context.fillStyle = line.series.color;
    context.lineWidth = Math.max(1, Math.round(1.5 * ratio));
    context.beginPath();
    if (mark.kind === "nan") {
      const y = bottom - 2 * size;
      context.moveTo(x - size, y - size);
      context.lineTo(x + size, y + size);
      context.moveTo(x + size, y - size);
      context.lineTo(x - size, y + size);
      context.stroke();
      continue;
    }
    const [tip, base] =
      mark.kind === "positiveInf" ? [top + 1, top + 2 * size] : [bottom - 1, bottom - 2 * size];
    context.moveTo(x, tip);
    context.lineTo(x - size, base);
    context.lineTo(x + size, base);
    context.fill();
  }
}

export interface Overlay {
  /** x value of the cursor, null: none. */
  readonly cursorX: number | null;
  /** Dots on the lines at the cursor, nearest first. */
  readonly dots: readonly { readonly x: number; readonly value: number; readonly color: string }[];
  readonly highlighted: readonly Line[];
  /** True: what is not highlighted is faint. */
  readonly isDimmed: boolean;
  /** Selected range of x, in values. */
  readonly selection: readonly [number, number] | null;
}

/** Draws cursor, highlighted lines and selection, over grid and data. */
export function drawOverlay(
  context: CanvasRenderingContext2D,
  layout: Layout,
  axes: Axes,
  overlay: Overlay,
  theme: ChartTheme,
): void {
  const { width, height, ratio, left, top, right, bottom } = layout;
  context.clearRect(0, 0, width, height);
  context.save();
  context.beginPath();
  context.rect(left, top, right - left, bottom - top);
  context.clip();
  if (overlay.isDimmed) {
    context.fillStyle = theme.card;
    context.globalAlpha = DIMMED_SHARE;
    context.fillRect(left, top, right - left, bottom - top);
    context.globalAlpha = 1;
  }
  for (const line of overlay.highlighted) {
    strokeLine(context, layout, axes, line, theme.card, Math.round(5 * ratio));
    strokeLine(context, layout, axes, line, line.series.color, Math.max(2, Math.round(2 * ratio)));
  }
  if (overlay.selection !== null) {
    const [a, b] = overlay.selection.map((value) => toPixel(axes.x, value)) as [number, number];
    context.fillStyle = theme.accent;
    context.globalAlpha = 0.12;
    context.fillRect(Math.min(a, b), top, Math.abs(b - a), bottom - top);
    context.globalAlpha = 1;
    context.fillRect(Math.round(a), top, Math.max(1, ratio), bottom - top);
    context.fillRect(Math.round(b), top, Math.max(1, ratio), bottom - top);
  }
  context.restore();
  if (overlay.cursorX === null) return;
  const x = Math.round(toPixel(axes.x, overlay.cursorX)) + 0.5;
  if (!(x >= left - 1 && x <= right + 1)) return;
  context.strokeStyle = theme.ink3;
  context.lineWidth = 1;
  context.setLineDash([3 * ratio, 3 * ratio]);
  context.beginPath();
  context.moveTo(x, top);
  context.lineTo(x, bottom);
  context.stroke();
  context.setLineDash([]);
  for (const dot of overlay.dots) {
    const [px, py] = [toPixel(axes.x, dot.x), toPixel(axes.y, dot.value)];
    if (!(px >= left - 1 && px <= right + 1 && py >= top - 1 && py <= bottom + 1)) continue;
    context.beginPath();
    context.arc(px, py, 3 * ratio, 0, 2 * Math.PI);
    context.fillStyle = dot.color;
    context.fill();
    context.strokeStyle = theme.card;
    context.lineWidth = Math.max(1, ratio);
    context.stroke();
  }
}
