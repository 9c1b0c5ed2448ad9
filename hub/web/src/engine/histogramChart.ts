/**
 * A chart of histograms over steps, on two canvases: a heat map, or a ridge a step.
 *
 * The cursor is the index of a histogram; moving it redraws the overlay alone.
 */
import { drawGrid } from "./drawGrid.js";
import {
  heightOf,
  histogramAt,
  paintHeatMap,
  ridgeRows,
  shades,
  stepEdges,
} from "./heatMap.js";
import type { HistogramMatrix } from "./histogramFrames.js";
import { FONT_PIXELS, type Layout, layoutOf, tickCounts } from "./layout.js";
import { requestDraw, withdrawDraw } from "./queue.js";
import { makeScale, type Tick, ticks, toPixel, toValue } from "./scales.js";
import type { Axes, ChartTheme } from "./theme.js";

export type HistogramMode = "heat" | "ridge";

export interface HistogramInput {
  readonly matrix: HistogramMatrix;
  readonly mode: HistogramMode;
  /** Colours, or heights of ridges, by the logarithm of the share. */
  readonly isLog: boolean;
  readonly theme: ChartTheme;
}

export interface HistogramState {
  readonly mode: HistogramMode;
  readonly rows: number;
  readonly drawn: number;
  readonly cursor: number | null;
}

const RIDGES_MAX = 40;
const RIDGE_PIXELS = 7;
/** A ridge may rise over so many others. */
const RIDGE_OVERLAP = 4;

export class HistogramChart {
  private input: HistogramInput | null = null;
  private layout: Layout | null = null;
  private axes: Axes | null = null;
  private edges: Float64Array = new Float64Array(1);
  private ridges: readonly number[] = [];
  private size = { width: 0, height: 0, ratio: 1 };
  private cursor: number | null = null;
  private dirty: "none" | "overlay" | "all" = "none";
  private draws = 0;
  onDrawn: (() => void) | null = null;

  constructor(
    private readonly base: HTMLCanvasElement,
    private readonly overlay: HTMLCanvasElement,
  ) {}

  update(input: HistogramInput): void {
    this.input = input;
    this.edges = stepEdges(input.matrix.step);
    if (this.cursor !== null && this.cursor >= input.matrix.length) this.cursor = null;
    this.mark("all");
  }

  resize(width: number, height: number, ratio: number): void {
    const size = { width: Math.round(width * ratio), height: Math.round(height * ratio), ratio };
    const isSame = size.width === this.size.width && size.height === this.size.height;
    if (isSame && ratio === this.size.ratio) return;
    this.size = size;
    for (const canvas of [this.base, this.overlay])
      [canvas.width, canvas.height] = [size.width, size.height];
    this.mark("all");
  }

  /** Mark a histogram by its index; null: none. */
  setCursor(index: number | null): void {
    if (this.cursor === index) return;
    this.cursor = index;
    this.mark("overlay");
  }

  /** Index of the histogram under a CSS pixel; null beside the plot. */
  indexAt(pixelX: number, pixelY: number): number | null {
    const { layout, axes, input } = this;
    if (layout === null || axes === null || input === null) return null;
    const [x, y] = [pixelX * layout.ratio, pixelY * layout.ratio];
    const isInside = x >= layout.left && x <= layout.right && y >= 0 && y <= layout.bottom;
    if (!isInside || input.matrix.length === 0) return null;
    if (input.mode === "ridge") {
      const place = this.ridges.map((_, at) => Math.abs(this.baseline(layout, at) - y));
      return this.ridges[place.indexOf(Math.min(...place))] ?? null;
    }
    const at = histogramAt(this.edges, toValue(axes.x, x));
    return at < 0 ? null : at;
  }

  /** Index of the histogram at a step; null where there is none. */
  indexOfStep(step: number): number | null {
    const at = histogramAt(this.edges, step);
    return at < 0 ? null : at;
  }

  /** CSS pixel in x of a histogram. */
  pixelOf(index: number): number {
    const { axes, input, layout } = this;
    if (axes === null || input === null || layout === null) return 0;
    if (input.mode === "ridge") return layout.left / layout.ratio;
    return toPixel(axes.x, input.matrix.step[index]!) / layout.ratio;
  }

  debugState(): HistogramState {
    return {
      mode: this.input?.mode ?? "heat",
      rows: this.input?.matrix.length ?? 0,
      drawn: this.draws,
      cursor: this.cursor,
    };
  }

  destroy(): void {
    withdrawDraw(this);
    this.input = null;
    // A canvas of no size gives its memory back at once.
    for (const canvas of [this.base, this.overlay]) canvas.width = canvas.height = 0;
  }

  private mark(what: "overlay" | "all"): void {
    if (this.dirty !== "all") this.dirty = what;
    requestDraw(this, what === "all");
  }

  /** Called by the queue of frames. */
  draw(): void {
    const { input } = this;
    if (input === null || this.size.width === 0 || this.size.height === 0) return;
    if (this.dirty === "all") {
      this.arrange(input);
      if (input.mode === "heat") this.drawHeat(input);
      else this.drawRidges(input);
      this.draws++;
      this.onDrawn?.();
    }
    if (this.dirty !== "none") this.drawOverlay(input);
    this.dirty = "none";
  }

  private arrange(input: HistogramInput): void {
    const { width, height, ratio } = this.size;
    const { matrix, mode, theme } = input;
    const context = this.base.getContext("2d")!;
    context.font = `${FONT_PIXELS * ratio}px ${theme.font}`;
    const draft = layoutOf(width, height, ratio, 0);
    const widest = (all: readonly Tick[]) =>
      all.reduce((most, tick) => Math.max(most, context.measureText(tick.label).width), 0);
    const [first, last] = [this.edges[0]!, this.edges[this.edges.length - 1]!];
    if (mode === "heat") {
      const scale = makeScale("linear", matrix.low, matrix.high, draft.bottom, draft.top);
      const yTicks = ticks(scale, tickCounts(draft).y);
      const layout = (this.layout = layoutOf(width, height, ratio, widest(yTicks)));
      const y = makeScale("linear", matrix.low, matrix.high, layout.bottom, layout.top);
      const x = makeScale("linear", first, last, layout.left, layout.right, { isWhole: true });
      this.axes = {
        x,
        y,
        xTicks: ticks(x, tickCounts(layout).x).filter(({ value }) => Number.isInteger(value)),
        yTicks: ticks(y, tickCounts(layout).y),
      };
      return;
    }
    const fitting = Math.floor((draft.bottom - draft.top) / (RIDGE_PIXELS * ratio));
    this.ridges = ridgeRows(matrix.length, Math.max(2, Math.min(RIDGES_MAX, fitting)));
    const stepTicks = this.ridgeTicks(draft, matrix);
    const layout = (this.layout = layoutOf(width, height, ratio, widest(stepTicks)));
    const x = makeScale("linear", matrix.low, matrix.high, layout.left, layout.right);
    const y = makeScale("linear", 0, 1, layout.bottom, layout.top);
    this.axes = {
      x,
      y,
      xTicks: ticks(x, tickCounts(layout).x),
      yTicks: this.ridgeTicks(layout, matrix),
    };
  }

  /** The pixel on which a ridge stands: the earliest at the top. */
  private baseline(layout: Layout, at: number): number {
    const count = this.ridges.length;
    const space = (layout.bottom - layout.top) / (count + RIDGE_OVERLAP - 1);
    return layout.top + space * (at + RIDGE_OVERLAP);
  }

  private ridgeTicks(layout: Layout, matrix: HistogramMatrix): Tick[] {
    const every = Math.max(1, Math.ceil(this.ridges.length / tickCounts(layout).y));
    const newest = this.ridges.length - 1;
    return this.ridges
      .map((row, at) => ({ row, at }))
      .filter(({ at }) => (newest - at) % every === 0)
      .map(({ row, at }) => ({
        value: matrix.step[row]!,
        pixel: this.baseline(layout, at),
        label: String(matrix.step[row]!),
      }));
  }

  private drawHeat({ matrix, theme, isLog }: HistogramInput): void {
    const [layout, axes] = [this.layout!, this.axes!];
    const context = this.base.getContext("2d")!;
    drawGrid(context, layout, axes, theme);
    const [width, height] = [layout.right - layout.left, layout.bottom - layout.top];
    if (matrix.length === 0 || width < 1 || height < 1) return;
    const image = context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const place = {
      width,
      height,
      x: [axes.x.low, axes.x.high],
      y: [axes.y.low, axes.y.high],
    } as const;
    paintHeatMap(pixels, matrix, place, shades(theme.card, theme.ramp), isLog);
    context.putImageData(image, layout.left, layout.top);
  }

  private drawRidges({ matrix, theme, isLog }: HistogramInput): void {
    const [layout, axes] = [this.layout!, this.axes!];
    const context = this.base.getContext("2d")!;
    drawGrid(context, layout, { ...axes, yTicks: [] }, theme);
    drawGridLabels(context, layout, axes, theme);
    const most = Math.max(...this.ridges.map((row) => highest(matrix, row)), 0);
    this.ridges.forEach((row, at) => {
      const path = this.ridge(matrix, row, at, most, isLog);
      context.fillStyle = theme.card;
      context.fill(path);
      context.fillStyle = theme.accent;
      context.globalAlpha = 0.15 + (0.35 * (at + 1)) / this.ridges.length;
      context.fill(path);
      context.globalAlpha = 1;
      context.strokeStyle = theme.accent;
      context.lineWidth = layout.ratio;
      context.stroke(path);
    });
  }

  private ridge(
    matrix: HistogramMatrix,
    row: number,
    at: number,
    most: number,
    isLog: boolean,
  ): Path2D {
    const [layout, axes] = [this.layout!, this.axes!];
    const base = this.baseline(layout, at);
    const top = base - this.baseline(layout, 0) + layout.top;
    const path = new Path2D();
    path.moveTo(layout.left, base);
    for (let bin = 0; bin < matrix.bins; bin++) {
      // Halves: the difference of the largest numbers is beyond them.
      const half = matrix.high / 2 - matrix.low / 2;
      const value = matrix.low + ((2 * bin + 1) / matrix.bins) * half;
      const share = matrix.counts[row * matrix.bins + bin]! / (matrix.total[row]! || 1);
      path.lineTo(toPixel(axes.x, value), base - (base - top) * heightOf(share, most, isLog));
    }
    path.lineTo(layout.right, base);
    return path;
  }

  private drawOverlay({ matrix, mode, theme, isLog }: HistogramInput): void {
    const [layout, axes] = [this.layout!, this.axes!];
    const context = this.overlay.getContext("2d")!;
    context.clearRect(0, 0, layout.width, layout.height);
    if (this.cursor === null || this.cursor >= matrix.length) return;
    context.strokeStyle = theme.ink3;
    context.lineWidth = Math.max(1, layout.ratio);
    if (mode === "heat") {
      const left = Math.round(toPixel(axes.x, this.edges[this.cursor]!));
      const right = Math.round(toPixel(axes.x, this.edges[this.cursor + 1]!));
      const width = Math.max(1, right - left);
      context.strokeRect(left - 0.5, layout.top + 0.5, width + 1, layout.bottom - layout.top - 1);
      return;
    }
    const at = this.ridges.reduce(
      (best, row, i) =>
        Math.abs(row - this.cursor!) < Math.abs(this.ridges[best]! - this.cursor!) ? i : best,
      0,
    );
    const most = Math.max(...this.ridges.map((row) => highest(matrix, row)), 0);
    const path = this.ridge(matrix, this.ridges[at]!, at, most, isLog);
    context.strokeStyle = theme.accent;
    context.lineWidth = 2 * layout.ratio;
    context.stroke(path);
  }
}

function highest(matrix: HistogramMatrix, row: number): number {
  let most = 0;
  for (let bin = 0; bin < matrix.bins; bin++)
    most = Math.max(most, matrix.counts[row * matrix.bins + bin]!);
  return most / (matrix.total[row]! || 1);
}

function drawGridLabels(
  context: CanvasRenderingContext2D,
  layout: Layout,
  axes: Axes,
  theme: ChartTheme,
): void {
  context.fillStyle = theme.ink3;
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (const { label, pixel } of axes.yTicks)
    context.fillText(label, layout.left - 6 * layout.ratio, pixel);
}
