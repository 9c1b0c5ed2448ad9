/** Which rows of a long list can be seen, with a few more on both sides. Pure. */

const MARGIN_ROWS = 8;

export interface RowWindow {
  first: number;
  /** One past the last row. */
  last: number;
}

/** All sizes in CSS pixels; `top` is how far the list was scrolled. */
export function rowWindow(
  { top, height, rowHeight, count }: { top: number; height: number; rowHeight: number; count: number },
): RowWindow {
  // Steps of the margin: scrolling a pixel changes nothing, and stripes keep their colour.
  const seen = Math.floor(top / rowHeight / MARGIN_ROWS) * MARGIN_ROWS;
  const first = Math.max(0, Math.min(seen - MARGIN_ROWS, count));
  const last = Math.min(count, seen + Math.ceil(height / rowHeight) + 2 * MARGIN_ROWS);
  return { first, last: Math.max(first, last) };
}
