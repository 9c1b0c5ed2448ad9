/** Lines, curves and points of a table's chart. */
import { toPixel, type AxisUnit } from "../../engine/scales.js";
import type { Axes } from "../../engine/theme.js";
import { runColor, SLOT_COUNT } from "../../state/palette.js";
import type { Theme } from "../../state/theme.js";
import type { Drawing, Marks } from "./ChartArea.js";
import { axisText, ChartAxes } from "./ChartAxes.js";
import type { Lines, Series } from "./chartData.js";
import { dotsPath, frameOf, linePath, nearestPoint, rangesOf } from "./chartGeometry.js";
import type { ChartSpec } from "./chartSpec.js";

const DASHES = ["", "6 3", "2 3"] as const;

export interface PointOptions {
  readonly width: number;
  readonly height: number;
  readonly isSmall: boolean;
  readonly theme: Theme;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly xUnit: AxisUnit;
  readonly yUnit: AxisUnit;
}

/** The colour of a series: the page's own if it is the only one. */
export function seriesColor(place: number, count: number, theme: Theme): string {
  return count === 1 ? "var(--accent)" : runColor({ slot: place, color: "" }, theme);
}

export function pointDrawing(spec: ChartSpec, { series }: Lines, options: PointOptions): Drawing {
  const { width, height, isSmall, theme, xTitle, yTitle, xUnit, yUnit } = options;
  const frame = frameOf({ width, height, isSmall, ...rangesOf(series, spec.kind === "curve"), xUnit, yUnit });
  const { axes } = frame;
  const hasLines = spec.kind !== "scatter";
  const shapes = series.map((each, place) => {
    const isLine = hasLines && each.x.length > 1;
    return {
      class: isLine ? "line" : "dots",
      d: isLine ? linePath(each, axes) : dotsPath(each, axes),
      stroke: seriesColor(place, series.length, theme),
      "stroke-dasharray": isLine ? DASHES[Math.floor(place / SLOT_COUNT) % DASHES.length] : "",
    };
  });
  return {
    width,
    height,
    marks: pointMarks(series, axes, options),
    content: (
      <>
        <ChartAxes frame={frame} isSmall={isSmall} xTitle={xTitle} yTitle={yTitle} />
        {spec.hasDiagonal && (
          <path
            class="diagonal"
            d={`M${toPixel(axes.x, 0)} ${toPixel(axes.y, 0)}L${toPixel(axes.x, 1)} ${toPixel(axes.y, 1)}`}
          />
        )}
        {shapes.map((shape, place) => <path key={place} {...shape} />)}
      </>
    ),
    overlay: (mark) => {
      const at = placeOf(series, mark);
      if (at === null) return null;
      const { x, y } = series[at.series]!;
      return (
        <>
          <path {...shapes[at.series]} />
          <circle class="mark" cx={toPixel(axes.x, x[at.at]!)} cy={toPixel(axes.y, y[at.at]!)} r={4} fill={seriesColor(at.series, series.length, theme)} />
        </>
      );
    },
  };
}

/** Points by number: those of the first series, then those of the second, and so on. */
function placeOf(series: readonly Series[], mark: number): { series: number; at: number } | null {
  let rest = mark;
  for (let place = 0; place < series.length; place++) {
    const { length } = series[place]!.x;
    if (rest < length) return { series: place, at: rest };
    rest -= length;
  }
  return null;
}

function pointMarks(series: readonly Series[], axes: Axes, { xTitle, yTitle, xUnit, yUnit }: PointOptions): Marks {
  const starts: number[] = [];
  let total = 0;
  for (const { x } of series) {
    starts.push(total);
    total += x.length;
  }
  const markOf = (found: { series: number; at: number } | null) => found && starts[found.series]! + found.at;
  const pixels = (mark: number) => {
    const found = placeOf(series, mark);
    if (found === null) return null;
    const { x, y, name } = series[found.series]!;
    return { name, x: x[found.at]!, y: y[found.at]!, px: toPixel(axes.x, x[found.at]!), py: toPixel(axes.y, y[found.at]!) };
  };
  return {
    nearest: (x, y) => markOf(nearestPoint(series, axes, x, y)),
    at(mark) {
      const found = pixels(mark);
      if (found === null) return { x: 0, y: 0, words: [] };
      const values = [`${xTitle} ${axisText(found.x, xUnit)}`, `${yTitle} ${axisText(found.y, yUnit)}`];
      return { x: found.px, y: found.py, words: series.length > 1 ? [found.name, ...values] : values };
    },
    move(mark, key) {
      if (total === 0) return null;
      const now = mark === null ? null : placeOf(series, mark);
      if (now === null) return key === "ArrowLeft" || key === "End" ? total - 1 : 0;
      const { length } = series[now.series]!.x;
      if (key === "Home") return starts[now.series]!;
      if (key === "End") return starts[now.series]! + length - 1;
      if (key === "ArrowRight") return starts[now.series]! + Math.min(length - 1, now.at + 1);
      if (key === "ArrowLeft") return starts[now.series]! + Math.max(0, now.at - 1);
      const next = (now.series + (key === "ArrowDown" ? 1 : -1) + series.length) % series.length;
      const { px, py } = pixels(mark!)!;
      return starts[next]! + (nearestPoint([series[next]!], axes, px, py)?.at ?? 0);
    },
  };
}
