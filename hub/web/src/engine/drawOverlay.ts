/** Draws what follows the pointer, on a canvas of its own over grid and data. */
import { strokeLine } from "./draw.js";
import type { Layout } from "./layout.js";
import type { Line } from "./lines.js";
import { toPixel } from "./scales.js";
import type { Axes, ChartTheme } from "./theme.js";

const DIMMED_SHARE = 0.6;

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
