/** Draws the data of a chart: stroked lines for a few, the rasteriser for many and for bands. */

import type { Layout } from "./layout.js";
import type { Axes, ChartTheme } from "./theme.js";
import { type Line, visiblePart } from "./lines.js";
import { type MarkKind, marksOf } from "./marks.js";
import { Density, densityRamp, packColor, Raster } from "./raster.js";
import { project, toPixel } from "./scales.js";

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

export function techniqueFor(lineCount: number): Technique {
  if (lineCount > LINES_MAX) return "density";
  return lineCount > STROKES_MAX ? "raster" : "stroke";
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

export function strokeLine(
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
