/**
 * Chart: two canvases over each other and what is drawn on them.
 *
 * Moving the cursor or highlighting a run redraws the overlay alone. Grid and data are redrawn for
 * new data, another zoom, another size; all charts of the page share one queue of frames, which
 * keeps a frame's drawing near its budget.
 */

import { drawData, techniqueFor, type Technique } from "./draw.js";
import { drawGrid } from "./drawGrid.js";
import { drawOverlay } from "./drawOverlay.js";
import type { Axes, ChartTheme } from "./theme.js";
import { requestDraw, withdrawDraw } from "./queue.js";
import { type Hit, nearestLines } from "./hit.js";
import { FONT_PIXELS, type Layout, layoutOf, tickCounts } from "./layout.js";
import {
  type ChartSeries,
  extentX,
  extentY,
  type Line,
  prepareLine,
  type Smoothing,
} from "./lines.js";
import {
  type AxisUnit,
  makeScale,
  padded,
  type ScaleKind,
  ticks,
  toPixel,
  toValue,
} from "./scales.js";

export interface ChartInput {
  readonly series: readonly ChartSeries[];
  readonly xUnit: AxisUnit;
  /** True: x has whole numbers only, such as steps. */
  readonly xIsWhole?: boolean;
  readonly xScale: "linear" | "log";
  readonly yScale: ScaleKind;
  /** Shown range of x; null: all. */
  readonly zoom: readonly [number, number] | null;
  readonly smoothing: Smoothing;
  readonly bands: boolean;
  readonly theme: ChartTheme;
}

export interface ChartState {
  readonly technique: Technique;
  readonly lines: number;
  readonly level: number;
  readonly buckets: number;
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
  readonly plot: readonly [left: number, top: number, right: number, bottom: number];
  /** Milliseconds of script of the last redraw of grid and data. */
  readonly drawMs: number;
  readonly dataDraws: number;
  readonly overlayDraws: number;
  readonly cursorX: number | null;
  readonly highlight: string | null;
}

export interface Canvases {
  readonly base: HTMLCanvasElement;
  readonly overlay: HTMLCanvasElement;
}

interface Cursor {
  readonly value: number;
  readonly pixelY: number | null;
}

const DOTS_MAX = 8;
/** With more lines dots say nothing. */
const DOTTED_LINES_MAX = 100;
const EMPTY: readonly Line[] = [];

export class Chart {
  private input: ChartInput | null = null;
  private lines: readonly Line[] = EMPTY;
  private layout: Layout | null = null;
  private axes: Axes | null = null;
  private dirty: "none" | "overlay" | "all" = "none";
  private size = { width: 0, height: 0, ratio: 1 };
  private cursor: Cursor | null = null;
  private known: { axes: Axes; cursor: Cursor; hits: readonly Hit[] } | null = null;
  private highlight: string | null = null;
  private selection: readonly [number, number] | null = null;
  private drawMs = 0;
  private dataDraws = 0;
  private overlayDraws = 0;
  /** Called after grid and data were drawn. */
  onDrawn: (() => void) | null = null;

  constructor(private readonly canvases: Canvases) {}

  update(input: ChartInput): void {
    this.input = input;
    this.mark("all");
  }

  /** Size in CSS pixels. */
  resize(width: number, height: number, ratio: number): void {
    const size = { width: Math.round(width * ratio), height: Math.round(height * ratio), ratio };
    if (
      size.width === this.size.width &&
      size.height === this.size.height &&
      ratio === this.size.ratio
    )
      return;
    this.size = size;
    for (const canvas of Object.values(this.canvases) as HTMLCanvasElement[]) {
      canvas.width = size.width;
      canvas.height = size.height;
    }
    this.mark("all");
  }

  /** `pixelY` in CSS pixels where the pointer is over this chart. */
  setCursor(value: number | null, pixelY: number | null = null): void {
    const next =
      value === null ? null : { value, pixelY: pixelY === null ? null : pixelY * this.size.ratio };
    if (this.cursor?.value === next?.value && this.cursor?.pixelY === next?.pixelY) return;
    this.cursor = next;
    this.mark("overlay");
  }

  setHighlight(runId: string | null): void {
    if (this.highlight === runId) return;
    this.highlight = runId;
    this.mark("overlay");
  }

  setSelection(range: readonly [number, number] | null): void {
    this.selection = range;
    this.mark("overlay");
  }

  /** Value of x at a CSS pixel, kept inside the plot. */
  valueAt(pixelX: number): number | null {
    if (this.axes === null || this.layout === null) return null;
    const pixel = Math.min(Math.max(pixelX * this.size.ratio, this.layout.left), this.layout.right);
    const value = toValue(this.axes.x, pixel);
    return Number.isFinite(value) ? value : null;
  }

  /** CSS pixel of a value of x; null outside the plot. */
  pixelAt(value: number): number | null {
    if (this.axes === null || this.layout === null) return null;
    const pixel = toPixel(this.axes.x, value);
    return pixel >= this.layout.left && pixel <= this.layout.right ? pixel / this.size.ratio : null;
  }

  cssWidth(): number {
    return this.size.width / this.size.ratio;
  }

  isInPlot(pixelX: number, pixelY: number): boolean {
    if (this.layout === null) return false;
    const { left, right, top, bottom, ratio } = this.layout;
    return (
      pixelX * ratio >= left - 4 &&
      pixelX * ratio <= right + 4 &&
      pixelY * ratio >= top &&
      pixelY * ratio <= bottom
    );
  }

  /** Lines at the cursor, nearest first; distances in CSS pixels. */
  hits(): readonly Hit[] {
    const { axes, cursor, known } = this;
    if (axes === null || cursor === null) return [];
    if (known?.axes === axes && known.cursor === cursor) return known.hits;
    const hits = this.findHits(axes, cursor);
    this.known = { axes, cursor, hits };
    return hits;
  }

  private findHits(axes: Axes, cursor: Cursor): readonly Hit[] {
    const hits = nearestLines(this.lines, axes.x, axes.y, cursor);
    return this.size.ratio === 1
      ? hits
      : hits.map((hit) => ({ ...hit, distance: hit.distance / this.size.ratio }));
  }

  /** x of the next bucket of any line in a direction, for the keyboard. */
  neighbour(from: number | null, direction: 1 | -1): number | null {
    if (this.axes === null) return null;
    const { low, high } = this.axes.x;
    const start = from ?? (direction > 0 ? low - 1 : high + 1);
    let best: number | null = null;
    for (const { xs } of this.lines) {
      for (const x of xs) {
        const beyond = direction > 0 ? x > start : x < start;
        if (
          beyond &&
          x >= low &&
          x <= high &&
          (best === null || Math.abs(x - start) < Math.abs(best - start))
        )
          best = x;
      }
    }
    return best;
  }

  xRange(): readonly [number, number] | null {
    return this.axes === null ? null : [this.axes.x.low, this.axes.x.high];
  }

  debugState(): ChartState {
    const { layout, axes } = this;
    let level = 0;
    let buckets = 0;
    for (const { series } of this.lines) {
      level = Math.max(level, series.data.level);
      buckets += series.data.length;
    }
    return {
      technique: techniqueFor(this.lines.length),
      lines: this.lines.length,
      level,
      buckets,
      x: axes === null ? [Number.NaN, Number.NaN] : [axes.x.low, axes.x.high],
      y: axes === null ? [Number.NaN, Number.NaN] : [axes.y.low, axes.y.high],
      plot: layout === null ? [0, 0, 0, 0] : [layout.left, layout.top, layout.right, layout.bottom],
      drawMs: this.drawMs,
      dataDraws: this.dataDraws,
      overlayDraws: this.overlayDraws,
      cursorX: this.cursor?.value ?? null,
      highlight: this.highlight,
    };
  }

  destroy(): void {
    withdrawDraw(this);
    this.input = null;
    this.lines = EMPTY;
    // A canvas of no size gives its memory back at once.
    for (const canvas of Object.values(this.canvases) as HTMLCanvasElement[])
      canvas.width = canvas.height = 0;
  }

  private mark(what: "overlay" | "all"): void {
    if (this.dirty !== "all") this.dirty = what;
    requestDraw(this, what === "all");
  }

  /** Called by the queue of frames. */
  draw(): void {
    const { input } = this;
    if (input === null || this.size.width === 0 || this.size.height === 0) return;
    if (this.dirty === "all") this.drawAll(input);
    if (this.dirty !== "none") this.drawTop(input);
    this.dirty = "none";
  }

  private drawAll(input: ChartInput): void {
    const started = performance.now();
    this.lines = input.series
      .filter((one) => one.data.length > 0)
      .map((one) => prepareLine(one, input.smoothing));
    const base = this.canvases.base.getContext("2d")!;
    const { layout, axes } = this.arrange(input, base);
    this.layout = layout;
    this.axes = axes;
    drawGrid(base, layout, axes, input.theme);
    drawData(base, layout, axes, this.lines, input.theme, {
      bands: input.bands,
      technique: techniqueFor(this.lines.length),
    });
    this.dataDraws++;
    this.drawMs = performance.now() - started;
    this.onDrawn?.();
  }

  private arrange(
    input: ChartInput,
    context: CanvasRenderingContext2D,
  ): { layout: Layout; axes: Axes } {
    const { width, height, ratio } = this.size;
    const [first, last] = input.zoom ?? extentX(this.lines, input.xScale === "log");
    const showsBands = input.bands && techniqueFor(this.lines.length) !== "density";
    const extent = extentY(this.lines, first, last, {
      bands: showsBands,
      positive: input.yScale === "log",
    });
    const [low, high] = padded(input.yScale, extent[0], extent[1], 0.04);
    const draft = layoutOf(width, height, ratio, 0);
    const y = makeScale(input.yScale, low, high, draft.bottom, draft.top);
    const yTicks = ticks(y, tickCounts(draft).y);
    context.font = `${FONT_PIXELS * ratio}px ${input.theme.font}`;
    const labelWidth = yTicks.reduce(
      (most, tick) => Math.max(most, context.measureText(tick.label).width),
      0,
    );
    const layout = layoutOf(width, height, ratio, labelWidth);
    const x = makeScale(input.xScale, first, last, layout.left, layout.right, {
      unit: input.xUnit,
      isWhole: input.xIsWhole ?? false,
    });
    return { layout, axes: { x, y, xTicks: ticks(x, tickCounts(layout).x), yTicks } };
  }

  private drawTop(input: ChartInput): void {
    const context = this.canvases.overlay.getContext("2d")!;
    if (this.layout === null || this.axes === null) return;
    const highlighted =
      this.highlight === null
        ? EMPTY
        : this.lines.filter((line) => line.series.runId === this.highlight);
    const hits = this.lines.length > DOTTED_LINES_MAX ? [] : this.hits().slice(0, DOTS_MAX);
    const dots = hits.map(({ x, value, line }) => ({ x, value, color: line.series.color }));
    drawOverlay(
      context,
      this.layout,
      this.axes,
      {
        cursorX: this.cursor?.value ?? null,
        dots,
        highlighted,
        isDimmed: highlighted.length > 0 && this.lines.length > 1,
        selection: this.selection,
      },
      input.theme,
    );
    this.overlayDraws++;
  }
}
