/** Texts and drawings of single histograms, and of the data behind a matrix. Pure. */
import { formatCount, formatValue } from "./format.js";
import { heightOf } from "./heatMap.js";
import type { HistogramMatrix } from "./histogramFrames.js";

export const BARS_WIDTH = 160;
export const BARS_HEIGHT = 48;

/** What is to be said of one histogram. */
export function histogramFacts(matrix: HistogramMatrix, index: number): string[] {
  const total = matrix.total[index]!;
  const odd = [
    [matrix.nan, "NaN"],
    [matrix.positiveInf, "+Inf"],
    [matrix.negativeInf, "-Inf"],
  ] as const;
  const range = `${formatValue(matrix.ownLow[index]!)} … ${formatValue(matrix.ownHigh[index]!)}`;
  return [
    total > 0 ? `${formatCount(Math.round(total))} ${Math.round(total) === 1 ? "value" : "values"}` : "no finite value",
    ...(total > 0 ? [range] : []),
    ...odd.flatMap(([counts, name]) =>
      counts !== null && counts[index]! > 0 ? [`${formatCount(counts[index]!)} ${name}`] : [],
    ),
  ];
}

/** Outline of the bars of one histogram. */
export function barsPath(matrix: HistogramMatrix, index: number, isLog: boolean): string {
  const from = index * matrix.bins;
  const total = matrix.total[index]! || 1;
  let most = 0;
  for (let bin = 0; bin < matrix.bins; bin++) most = Math.max(most, matrix.counts[from + bin]!);
  const width = BARS_WIDTH / matrix.bins;
  let path = `M0 ${BARS_HEIGHT}`;
  for (let bin = 0; bin < matrix.bins; bin++) {
    const height = heightOf(matrix.counts[from + bin]! / total, most / total, isLog);
    path += `V${(BARS_HEIGHT * (1 - height)).toFixed(1)}H${((bin + 1) * width).toFixed(1)}`;
  }
  return `${path}V${BARS_HEIGHT}Z`;
}

/** What is behind the picture. */
export function matrixText(matrix: HistogramMatrix): string {
  if (matrix.length === 0) return "";
  const parts = [`${formatCount(matrix.stepCount)} ${matrix.stepCount === 1 ? "step" : "steps"}`];
  if (matrix.level > 0) parts.push(`${matrix.length} drawn, each the last of ${2 ** matrix.level}`);
  parts.push(`in ${matrix.bins} equal bins`);
  return parts.join(" · ");
}
