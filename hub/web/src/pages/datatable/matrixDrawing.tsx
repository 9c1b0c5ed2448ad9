/** A confusion matrix: the actual class from top to bottom, the predicted one from left to right. */
import { shades } from "../../engine/heatMap.js";
import { formatNumber } from "../../parts/format.js";
import type { Size } from "../../parts/useSize.js";
import { inkOn } from "../../state/palette.js";
import type { Drawing } from "./ChartArea.js";
import type { Matrix } from "./chartData.js";
import { matrixFrame, shortened } from "./chartGeometry.js";

interface MatrixOptions extends Size {
  readonly isSmall: boolean;
  /** "#rrggbb": of no count, and of low to high ones. */
  readonly card: string;
  readonly ramp: readonly string[];
}

export function matrixDrawing({ classes, counts }: Matrix, options: MatrixOptions): Drawing {
  const side = classes.length;
  const most = counts.reduce<number>((largest, each) => Math.max(largest, each ?? 0), 0);
  const colors = shades(options.card, options.ramp);
  const longest = Math.max(1, formatNumber(most).length);
  const frame = matrixFrame(classes, longest, options);
  const { left, top, cellWidth, cellHeight, width, height, hasNumbers, letters } = frame;
  const colorOf = (count: number) => {
    // The root of the share: few mistakes stay visible beside many correct answers.
    const shade = count > 0 && most > 0 ? Math.max(16, Math.round(Math.sqrt(count / most) * 255)) : 0;
    return hexOf(colors[shade]!);
  };
  const gap = cellWidth > 8 ? 1 : 0;
  const [centerX, centerY] = [left + (side * cellWidth) / 2, top + (side * cellHeight) / 2];
  return {
    width,
    height,
    marks: {
      nearest(x, y) {
        const [to, from] = [Math.floor((x - left) / cellWidth), Math.floor((y - top) / cellHeight)];
        return to >= 0 && to < side && from >= 0 && from < side ? from * side + to : null;
      },
      at(mark) {
        if (mark >= counts.length) return { x: 0, y: 0, words: [] };
        const [from, to] = [Math.floor(mark / side), mark % side];
        const row = counts.slice(from * side, (from + 1) * side);
        const sum = row.includes(null) ? 0 : row.reduce<number>((total, each) => total + each!, 0);
        const count = counts[mark] ?? null;
        const share = sum > 0 ? `, ${formatNumber(Math.round((count! / sum) * 1000) / 10)} % of actual ${classes[from]}` : "";
        const words = [`Actual ${classes[from]}`, `Predicted ${classes[to]}`, count === null ? "not read" : `${formatNumber(count)}${share}`];
        return { x: left + (to + 0.5) * cellWidth, y: top + (from + 0.5) * cellHeight, words };
      },
      move(mark, key) {
        if (side === 0) return null;
        const isBack = key === "ArrowLeft" || key === "ArrowUp";
        if (key === "End" || (mark === null && isBack)) return side * side - 1;
        if (mark === null || key === "Home") return 0;
        const [from, to] = [Math.floor(mark / side), mark % side];
        const within = (place: number) => Math.min(side - 1, Math.max(0, place));
        if (key === "ArrowLeft" || key === "ArrowRight") return from * side + within(to + (key === "ArrowLeft" ? -1 : 1));
        return within(from + (key === "ArrowUp" ? -1 : 1)) * side + to;
      },
    },
    content: (
      <>
        {!options.isSmall && (
          <>
            <text class="axis-title" x={centerX} y={12} text-anchor="middle">Predicted</text>
            <text class="axis-title" text-anchor="middle" transform={`translate(12 ${centerY}) rotate(-90)`}>Actual</text>
          </>
        )}
        {hasNumbers &&
          classes.map((name, at) => (
            <g key={at}>
              <text class="tick" x={left - 4} y={top + (at + 0.5) * cellHeight} dy="0.35em" text-anchor="end">
                {shortened(name, letters)}
              </text>
              <text class="tick" transform={`translate(${left + (at + 0.5) * cellWidth} ${top - 4}) rotate(-90)`} dy="0.35em">
                {shortened(name, letters)}
              </text>
            </g>
          ))}
        <rect class="matrix" x={left} y={top} width={side * cellWidth} height={side * cellHeight} />
        {counts.map((count, mark) => {
          if (count === 0 && !hasNumbers) return null;
          const [x, y] = [left + (mark % side) * cellWidth, top + Math.floor(mark / side) * cellHeight];
          const color = count === null ? "" : colorOf(count);
          return (
            <g key={mark} class="cell">
              <rect
                x={x}
                y={y}
                width={cellWidth - gap}
                height={cellHeight - gap}
                {...(count === null ? { class: "unread" } : { fill: color })}
              />
              {hasNumbers && (
                <text
                  x={x + (cellWidth - gap) / 2}
                  y={y + (cellHeight - gap) / 2}
                  dy="0.35em"
                  text-anchor="middle"
                  {...(count === 0 || count === null ? { class: "none" } : { style: { fill: inkOn(color) } })}
                >
                  {count === null ? "?" : formatNumber(count)}
                </text>
              )}
            </g>
          );
        })}
      </>
    ),
    overlay: (mark) =>
      mark < counts.length && (
        <rect
          class="chosen"
          x={left + (mark % side) * cellWidth}
          y={top + Math.floor(mark / side) * cellHeight}
          width={cellWidth - gap}
          height={cellHeight - gap}
        />
      ),
  };
}

/** A pixel as ImageData has it, as "#rrggbb". */
function hexOf(pixel: number): string {
  const channels = [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255];
  return `#${channels.map((each) => each.toString(16).padStart(2, "0")).join("")}`;
}
