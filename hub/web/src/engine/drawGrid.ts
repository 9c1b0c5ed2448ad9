/** Draws the grid of a chart: lines at the ticks, and their labels. */
import { FONT_PIXELS, type Layout } from "./layout.js";
import type { Tick } from "./scales.js";
import type { Axes, ChartTheme } from "./theme.js";

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
