/** The optimisation history: each trial's value as a dot, the best so far as a line. */
import { useMemo } from "preact/hooks";

import type { Goal, Trial } from "../../api/sweeps.js";
import { makeScale, padded, ticks, toPixel, type Scale } from "../../engine/scales.js";
import { formatAmount, formatNumber } from "../../parts/format.js";
import { bestSoFar, type HistoryPoint } from "./trials.js";

/** Units of the drawing, which is stretched to its place; lines and dots keep their size. */
const WIDTH = 1000;
const HEIGHT = 400;
/** From this ratio on, positive values are drawn on a logarithmic scale. */
const LOG_RATIO = 100;

interface HistoryProps {
  trials: readonly Trial[];
  metric: { name: string; goal: Goal };
}

export function History({ trials, metric: { name, goal } }: HistoryProps) {
  const points = useMemo(() => bestSoFar(trials, goal), [trials, goal]);
  return (
    <section class="card" aria-label="History">
      <header class="card-head">
        <h2>Best so far</h2>
        <span class="fact">{`${name}, ${goal}`}</span>
      </header>
      {points.length === 0 ? <p class="fact">No trial has a value yet.</p> : <Drawing points={points} name={name} />}
    </section>
  );
}

function Drawing({ points, name }: { points: readonly HistoryPoint[]; name: string }) {
  const [first, last] = [points[0]!, points.at(-1)!];
  const x = makeScale("linear", first.number, last.number, 0, WIDTH, { isWhole: true });
  const y = valueScale(points);
  const marks = ticks(y, 4);
  const story =
    `${formatAmount(points.length, "trial")} with a value of ${name}: ` +
    `the best was ${formatNumber(first.best)} at trial ${first.number} and is ${formatNumber(last.best)} at trial ${last.number}`;
  return (
    <figure class="history" role="img" aria-label={story}>
      <div class="history-y" aria-hidden="true">
        {marks.map(({ value, pixel, label }) => (
          <span key={value} style={{ top: `${(100 * pixel) / HEIGHT}%` }}>{label}</span>
        ))}
      </div>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
        <path class="history-grid" d={marks.map(({ pixel }) => `M0 ${round(pixel)}H${WIDTH}`).join("")} />
        <path class="history-dots" d={points.map((point) => `M${at(x, point.number)} ${at(y, point.value)}h0`).join("")} />
        <path class="history-best" d={bestPath(points, x, y)} />
      </svg>
      <div class="history-x" aria-hidden="true">
        {ticks(x, 5).map(({ value, pixel, label }) => (
          <span key={value} style={{ left: `${(100 * pixel) / WIDTH}%` }}>{label}</span>
        ))}
      </div>
    </figure>
  );
}

function valueScale(points: readonly HistoryPoint[]): Scale {
  let [low, high] = [Infinity, -Infinity];
  for (const { value } of points) [low, high] = [Math.min(low, value), Math.max(high, value)];
  const kind = low > 0 && high / low >= LOG_RATIO ? "log" : "linear";
  const [from, to] = padded(kind, low, high, 0.06);
  return makeScale(kind, from, to, HEIGHT, 0);
}

/** Steps: the best holds until the next trial. */
function bestPath(points: readonly HistoryPoint[], x: Scale, y: Scale): string {
  const [first, ...others] = points;
  const start = `M${at(x, first!.number)} ${at(y, first!.best)}`;
  return start + others.map(({ number, best }) => `H${at(x, number)}V${at(y, best)}`).join("");
}

function at(scale: Scale, value: number): number {
  return round(toPixel(scale, value));
}

function round(pixel: number): number {
  return Math.round(pixel * 10) / 10;
}
