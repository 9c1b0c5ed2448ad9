/** The optimisation history: a mark for the value of each trial, and the best so far as a line. */
import type { Signal } from "@preact/signals";
import { useMemo, useRef } from "preact/hooks";

import type { Goal, Trial } from "../../api/sweeps.js";
import { makeScale, ticks, toPixel, type Scale } from "../../engine/scales.js";
import { formatAmount, formatCount, formatNumber } from "../../parts/format.js";
import { useSize } from "../../parts/useSize.js";
import { metricScale } from "./axes.js";
import { markOf, markPath, markRadius, MARKS, type MarkKind } from "./marks.js";
import { NoValues } from "./NoValues.js";
import { bestSoFar, type HistoryPoint } from "./trials.js";

const HEIGHT = 200;
/** At the bottom, for trials without a value. */
const STRIP = 16;
const SIDE = 8;
const MARGIN = 0.06;
const HOVER_PIXELS = 24;

interface HistoryProps {
  trials: readonly Trial[];
  metric: { name: string; goal: Goal };
  /** By trial: 0 is drawn pale. */
  isIn: Uint8Array;
  hovered: Signal<number | null>;
}

export function History(props: HistoryProps) {
  const { trials, metric } = props;
  const points = useMemo(() => bestSoFar(trials, metric.goal), [trials, metric.goal]);
  return (
    <section class="card" aria-label="History">
      <header class="card-head">
        <h2>Best so far</h2>
        <span class="fact">{`${metric.name}, ${metric.goal}`}</span>
      </header>
      {points.length === 0 ? <NoValues trials={trials} metric={metric.name} /> : <Drawing {...props} points={points} />}
    </section>
  );
}

function Drawing({ trials, metric, isIn, hovered, points }: HistoryProps & { points: readonly HistoryPoint[] }) {
  const plot = useRef<HTMLDivElement>(null);
  const { width } = useSize(plot).value;
  const [first, last] = [points[0]!, points.at(-1)!];
  const x = makeScale("linear", 1, Math.max(2, trials.at(-1)!.number), SIDE, Math.max(SIDE + 1, width - SIDE), { isWhole: true });
  const y = metricScale(Float64Array.from(points, ({ value }) => value), HEIGHT - STRIP, 0, MARGIN)!;
  const placed = useMemo(() => placesOf(trials, x, y), [trials, width]);
  const counts = useMemo(() => countKinds(trials), [trials]);
  const best = points.find(({ value }) => value === last.best)!;
  const marks = ticks(y, 4);
  const story =
    `${formatAmount(points.length, "trial")} with a value of ${metric.name}: ` +
    `the best was ${formatNumber(first.best)} at trial ${first.number} and is ${formatNumber(last.best)} at trial ${best.number}`;
  const point = (event: PointerEvent) => {
    const box = plot.current!.getBoundingClientRect();
    hovered.value = nearest(placed, event.clientX - box.left, event.clientY - box.top);
  };
  return (
    <>
      <figure class="history" role="img" aria-label={story}>
        <div class="history-y" aria-hidden="true">
          {marks.map(({ value, pixel, label }) => (
            <span key={value} style={{ top: `${pixel}px` }}>{label}</span>
          ))}
        </div>
        <div
          ref={plot}
          class="history-plot"
          aria-hidden="true"
          onPointerMove={point}
          onPointerDown={point}
          onPointerLeave={(event) => event.pointerType !== "touch" && (hovered.value = null)}
        >
          <svg width={width} height={HEIGHT}>
            <path class="history-grid" d={marks.map(({ pixel }) => `M0 ${round(pixel)}H${width}`).join("")} />
            {MARKS.map(({ kind }) => (
              <path key={kind} class={`mark pale ${kind}`} d={pathOf(placed, kind, isIn, 0)} />
            ))}
            <path class="history-best" d={bestPath(points, x, y)} />
            {MARKS.map(({ kind }) => (
              <path key={kind} class={`mark ${kind}`} d={pathOf(placed, kind, isIn, 1)} />
            ))}
            <Ring placed={placed} hovered={hovered} />
          </svg>
          <Tip trials={trials} placed={placed} width={width} hovered={hovered} metric={metric.name} />
        </div>
        <div class="history-x" aria-hidden="true">
          {ticks(x, Math.min(8, Math.max(2, width / 60))).map(({ value, pixel, label }) => (
            <span key={value} style={{ left: `${pixel}px` }}>{label}</span>
          ))}
        </div>
      </figure>
      <ul class="history-legend">
        <li><svg width="18" height="10" aria-hidden="true"><path class="history-best" d="M1 5H17" /></svg>best so far</li>
        {MARKS.filter(({ kind }) => counts[kind] > 0).map(({ kind, text }) => (
          <li key={kind}>
            <svg width="10" height="10" aria-hidden="true"><path class={`mark ${kind}`} d={markPath(kind, 5, 5)} /></svg>
            {`${formatCount(counts[kind])} ${text}`}
          </li>
        ))}
      </ul>
    </>
  );
}

interface Placed {
  number: number;
  kind: MarkKind;
  x: number;
  y: number;
}

function placesOf(trials: readonly Trial[], x: Scale, y: Scale): Placed[] {
  return trials.map((trial) => {
    const height = toPixel(y, trial.value ?? Number.NaN);
    const place = Number.isFinite(height) ? height : HEIGHT - STRIP / 2;
    return { number: trial.number, kind: markOf(trial), x: toPixel(x, trial.number), y: place };
  });
}

function pathOf(placed: readonly Placed[], kind: MarkKind, isIn: Uint8Array, wanted: 0 | 1): string {
  const radius = markRadius(placed.length);
  let path = "";
  placed.forEach((each, at) => {
    if (each.kind === kind && isIn[at] === wanted) path += markPath(kind, each.x, each.y, radius);
  });
  return path;
}

function countKinds(trials: readonly Trial[]): Record<MarkKind, number> {
  const counts = { finished: 0, running: 0, stopped: 0, failed: 0, none: 0 };
  for (const trial of trials) counts[markOf(trial)]++;
  return counts;
}

function nearest(placed: readonly Placed[], x: number, y: number): number | null {
  let found: Placed | null = null;
  let least = HOVER_PIXELS;
  for (const each of placed) {
    const distance = Math.hypot(each.x - x, each.y - y);
    if (distance < least) [found, least] = [each, distance];
  }
  return found?.number ?? null;
}

function Ring({ placed, hovered }: { placed: readonly Placed[]; hovered: Signal<number | null> }) {
  const at = placed.find(({ number }) => number === hovered.value);
  return at === undefined ? null : <circle class="history-ring" cx={at.x} cy={at.y} r="7" />;
}

interface TipProps {
  trials: readonly Trial[];
  placed: readonly Placed[];
  width: number;
  hovered: Signal<number | null>;
  metric: string;
}

function Tip({ trials, placed, width, hovered, metric }: TipProps) {
  const at = placed.findIndex(({ number }) => number === hovered.value);
  if (at < 0) return null;
  const [{ x, y }, trial] = [placed[at]!, trials[at]!];
  const side = x > width / 2 ? { right: `${width - x + 12}px` } : { left: `${x + 12}px` };
  return (
    <p class="history-tip" style={{ ...side, top: `${Math.min(y, HEIGHT - 2 * STRIP)}px` }}>
      {`trial ${formatCount(trial.number)}, ${trial.state}: ${trial.value === null ? `no value of ${metric}` : formatNumber(trial.value)}`}
    </p>
  );
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
