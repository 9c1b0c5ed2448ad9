/** Layout: where in a chart's picture the plot is. All in device pixels. */

export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly ratio: number;
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export const FONT_PIXELS = 11;
const LEFT_LEAST = 38;

/** The plot's rectangle for tick labels of `labelWidth` device pixels. */
export function layoutOf(width: number, height: number, ratio: number, labelWidth: number): Layout {
  const left = Math.round(Math.max(LEFT_LEAST * ratio, labelWidth + 10 * ratio));
  return {
    width,
    height,
    ratio,
    left: Math.min(left, Math.round(width / 2)),
    top: Math.round(6 * ratio),
    right: Math.max(left + 1, width - Math.round(8 * ratio)),
    bottom: Math.max(1, height - Math.round(20 * ratio)),
  };
}

/** Ticks that fit on the axes. */
export function tickCounts(layout: Layout): { x: number; y: number } {
  const { ratio } = layout;
  return {
    x: Math.max(2, Math.min(10, Math.floor((layout.right - layout.left) / (62 * ratio)))),
    y: Math.max(2, Math.min(8, Math.floor((layout.bottom - layout.top) / (26 * ratio)))),
  };
}
