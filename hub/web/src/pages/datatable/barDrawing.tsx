/** A bar for each row of a table, and bins of a column. */
import { toPixel, type AxisUnit } from "../../engine/scales.js";
import { formatAmount } from "../../parts/format.js";
import type { Size } from "../../parts/useSize.js";
import type { Drawing, Marks } from "./ChartArea.js";
import { axisText, ChartAxes } from "./ChartAxes.js";
import type { Bar, Bin } from "./chartData.js";
import { barsFrame, binRects, frameOf, shortened } from "./chartGeometry.js";

interface BarOptions extends Size {
  readonly isSmall: boolean;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly unit: AxisUnit;
}

export function barDrawing(bars: readonly Bar[], options: BarOptions): Drawing {
  const { width, isSmall, xTitle, yTitle, unit } = options;
  const made = barsFrame(bars.map(({ label }) => label), bars.map(({ value }) => value), options);
  const { frame, rowHeight, letters } = made;
  const { axes, box } = frame;
  const zero = toPixel(axes.x, 0);
  const middle = (at: number) => box.top + (at + 0.5) * rowHeight;
  const gap = Math.min(3, rowHeight / 6);
  const rectOf = (at: number) => {
    const end = toPixel(axes.x, bars[at]!.value);
    const [y, height] = [middle(at) - rowHeight / 2 + gap, Math.max(0.5, rowHeight - 2 * gap)];
    return { x: Math.min(zero, end), y, width: Math.max(1, Math.abs(end - zero)), height };
  };
  return {
    width,
    height: made.height,
    marks: listMarks(bars.length, {
      indexAt: (_, y) => Math.floor((y - box.top) / rowHeight),
      at: (place) => {
        const { label, value } = bars[place]!;
        return { x: toPixel(axes.x, value), y: middle(place), words: [`${yTitle} ${label}`, `${xTitle} ${axisText(value, unit)}`] };
      },
    }),
    content: (
      <>
        <ChartAxes frame={frame} isSmall={isSmall} xTitle={xTitle} yTitle={yTitle} />
        {bars.map(({ label, value }, at) => (
          <g key={at} class="bar">
            <rect {...rectOf(at)} />
            {rowHeight >= 11 && (
              <text class="tick" x={box.left - 6} y={middle(at)} dy="0.35em" text-anchor="end">{shortened(label, letters)}</text>
            )}
            {!isSmall && (
              <text class="value" x={Math.max(zero, toPixel(axes.x, value)) + 4} y={middle(at)} dy="0.35em">{axisText(value, unit)}</text>
            )}
          </g>
        ))}
      </>
    ),
    overlay: (mark) => mark < bars.length && <rect class="active" {...rectOf(mark)} />,
  };
}

export function binDrawing(bins: readonly Bin[], { width, height, isSmall, xTitle, unit }: Omit<BarOptions, "yTitle">): Drawing {
  const low = bins[0]?.low ?? 0;
  const high = bins[bins.length - 1]?.high ?? 1;
  const most = Math.max(1, ...bins.map(({ count }) => count));
  const frame = frameOf({ width, height, isSmall, x: [low, high], y: [0, most * 1.05], xUnit: unit, isCount: true });
  const rects = binRects(bins, frame);
  return {
    width,
    height,
    marks: listMarks(bins.length, {
      indexAt: (x) => rects.findIndex((rect) => x <= rect.x + rect.width + 1),
      at: (place) => {
        const { low: from, high: to, count } = bins[place]!;
        const rect = rects[place]!;
        return { x: rect.x + rect.width / 2, y: rect.y, words: [`${xTitle} ${axisText(from, unit)} to ${axisText(to, unit)}`, formatAmount(count, "row")] };
      },
    }),
    content: (
      <>
        <ChartAxes frame={frame} isSmall={isSmall} xTitle={xTitle} yTitle="rows" />
        {rects.map((rect, at) => <rect key={at} class="bin" {...rect} />)}
      </>
    ),
    overlay: (mark) => mark < rects.length && <rect class="active" {...rects[mark]!} />,
  };
}

/** Marks in a row; each arrow key goes to the next or the one before. */
function listMarks(count: number, list: { indexAt(x: number, y: number): number; at: Marks["at"] }): Marks {
  return {
    nearest(x, y) {
      const found = list.indexAt(x, y);
      return found >= 0 && found < count ? found : null;
    },
    at: (mark) => (mark < count ? list.at(mark) : { x: 0, y: 0, words: [] }),
    move(mark, key) {
      if (count === 0) return null;
      if (key === "Home") return 0;
      if (key === "End") return count - 1;
      const by = key === "ArrowRight" || key === "ArrowDown" ? 1 : -1;
      if (mark === null) return by > 0 ? 0 : count - 1;
      return Math.min(count - 1, Math.max(0, mark + by));
    },
  };
}
