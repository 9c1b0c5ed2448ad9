/** Axes of a table's chart: lines, ticks, and the names of the columns. */
import { formatX } from "../../engine/format.js";
import type { AxisUnit } from "../../engine/scales.js";
import { formatNumber } from "../../parts/format.js";
import { shortened, GLYPH, type Frame } from "./chartGeometry.js";

interface ChartAxesProps {
  frame: Frame;
  isSmall: boolean;
  xTitle: string;
  yTitle: string;
}

export function ChartAxes({ frame: { box, axes }, isSmall, xTitle, yTitle }: ChartAxesProps) {
  const { left, top, right, bottom } = box;
  const room = (pixels: number) => Math.max(3, Math.floor(pixels / GLYPH));
  return (
    <>
      {axes.yTicks.map(({ pixel, label }) => (
        <g key={`y ${label} ${pixel}`}>
          <line class="grid" x1={left} x2={right} y1={pixel} y2={pixel} />
          <text class="tick" x={left - 4} y={pixel} dy="0.35em" text-anchor="end">{label}</text>
        </g>
      ))}
      {axes.xTicks.map(({ pixel, label }) => (
        <g key={`x ${label} ${pixel}`}>
          <line class="grid" x1={pixel} x2={pixel} y1={top} y2={bottom} />
          <text class="tick" x={pixel} y={bottom + 12} text-anchor="middle">{label}</text>
        </g>
      ))}
      <path class="axis" d={`M${left} ${top}V${bottom}H${right}`} />
      {!isSmall && (
        <>
          <text class="axis-title" x={(left + right) / 2} y={bottom + 28} text-anchor="middle">
            {shortened(xTitle, room(right - left))}
          </text>
          <text class="axis-title" text-anchor="middle" transform={`translate(11 ${(top + bottom) / 2}) rotate(-90)`}>
            {shortened(yTitle, room(bottom - top))}
          </text>
        </>
      )}
    </>
  );
}

/** A value of an axis in full. */
export function axisText(value: number, unit: AxisUnit): string {
  return unit === "number" ? formatNumber(value) : formatX(value, unit);
}
