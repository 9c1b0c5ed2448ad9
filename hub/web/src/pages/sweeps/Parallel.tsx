/**
 * Parallel coordinates of a sweep: an axis for each parameter that differs and one for the metric,
 * a line for each trial, the better the darker. A range on an axis keeps the trials inside it.
 */
import type { Signal } from "@preact/signals";
import { useMemo, useRef } from "preact/hooks";

import type { Goal, Sweep, Trial } from "../../api/sweeps.js";
import { nearestParallel, rampColor, type ParallelLines } from "../../engine/parallel.js";
import { chartTheme } from "../../parts/chartTheme.js";
import { formatAmount, formatCount, formatNumber } from "../../parts/format.js";
import { useSize } from "../../parts/useSize.js";
import { theme, type Theme } from "../../state/theme.js";
import { axisText, goodness, placesOf, type Axis } from "./axes.js";
import { withBrush, type Brushes } from "./brushes.js";
import { ParallelAxis, PLOT_HEIGHT } from "./ParallelAxis.js";
import { ParallelCanvas } from "./ParallelCanvas.js";
import { TrialLink } from "./TrialLink.js";
import { VALUE_COLUMN } from "./trials.js";

const AXIS_WIDTH_MIN = 104;
const HOVER_PIXELS = 12;
/** Browsers draw no canvas that is much wider. */
const AXES_MAX = 60;
/** The darkest colours are for the best tenth or so. */
const BEST_POWER = 3;

interface ParallelProps {
  sweep: Sweep;
  trials: readonly Trial[];
  axes: readonly Axis[];
  /** By trial: 1 inside all ranges. */
  isIn: Uint8Array;
  brushes: Brushes;
  onBrushes(next: Brushes): void;
  hovered: Signal<number | null>;
}

export function Parallel({ sweep, trials, axes: all, isIn, brushes, onBrushes, hovered }: ParallelProps) {
  const axes = useMemo(() => shownAxes(all), [all]);
  const scroller = useRef<HTMLDivElement>(null);
  const inner = useRef<HTMLDivElement>(null);
  const { width: room } = useSize(scroller).value;
  const axisWidth = Math.max(AXIS_WIDTH_MIN, room / axes.length);
  const width = axisWidth * axes.length;
  const xs = useMemo(() => Float32Array.from(axes, (_, at) => (at + 0.5) * axisWidth), [axes, axisWidth]);
  const lines = useMemo(
    () => ({ ...linesOf(axes, trials.length, sweep.metric?.goal ?? "minimize", theme.value), isOn: isIn }),
    [axes, trials, sweep.metric?.goal, theme.value, isIn],
  );
  const count = isIn.reduce((sum, each) => sum + each, 0);
  const hover = (event: PointerEvent) => {
    const box = inner.current!.getBoundingClientRect();
    const layout = { width, height: PLOT_HEIGHT, ratio: 1, xs };
    const found = nearestParallel(layout, lines, event.clientX - box.left, event.clientY - box.top);
    hovered.value = found !== null && found.distance <= HOVER_PIXELS ? trials[found.item]!.number : null;
  };
  const hint = "Drag along an axis to keep a range; a click selects a category, or clears the axis.";
  return (
    <section class="card parallel-card" aria-label="Parallel coordinates">
      <header class="card-head">
        <h2>Parallel coordinates</h2>
        <span class="fact" title={hint}>
          {count === trials.length ? formatAmount(count, "trial") : `${formatCount(count)} of ${formatAmount(trials.length, "trial")}`}
        </span>
        {brushes.size > 0 && (
          <button type="button" class="small" onClick={() => onBrushes(new Map())}>Clear the ranges</button>
        )}
      </header>
      <div ref={scroller} class="scroll-x" tabIndex={0} role="group" aria-label="Axes">
        <div class="parallel" style={{ width: `${width}px` }}>
          <div
            ref={inner}
            class="parallel-plot"
            style={{ height: `${PLOT_HEIGHT}px` }}
            onPointerMove={hover}
            onPointerDown={hover}
            onPointerLeave={(event) => event.pointerType !== "touch" && (hovered.value = null)}
          >
            <ParallelCanvas width={width} height={PLOT_HEIGHT} xs={xs} lines={lines} trials={trials} hovered={hovered} />
          </div>
          {axes.map((axis, at) => (
            <ParallelAxis
              key={axis.key}
              axis={axis}
              x={xs[at]!}
              width={axisWidth}
              brush={brushes.get(axis.key)}
              onBrush={(brush) => onBrushes(withBrush(brushes, axis.key, brush))}
            />
          ))}
        </div>
      </div>
      {axes.length < all.length && (
        <p class="fact">{`The first ${AXES_MAX - 1} of ${formatAmount(all.length - 1, "parameter")}`}</p>
      )}
      <Reading sweep={sweep} trials={trials} axes={axes} hovered={hovered} hint={hint} />
    </section>
  );
}

/** The first ones, and the last: the metric. */
function shownAxes(axes: readonly Axis[]): readonly Axis[] {
  return axes.length > AXES_MAX ? [...axes.slice(0, AXES_MAX - 1), axes.at(-1)!] : axes;
}

/** The better lie above the worse, those without a value below all. */
function linesOf(axes: readonly Axis[], count: number, goal: Goal, shown: Theme): Omit<ParallelLines, "isOn"> {
  const { ramp, ink3 } = chartTheme(shown);
  const metric = axes.find(({ key }) => key === VALUE_COLUMN);
  const good = metric === undefined ? new Float32Array(count).fill(Number.NaN) : goodness(metric.values, goal);
  const rank = (item: number) => (Number.isNaN(good[item]!) ? -1 : good[item]!);
  return {
    places: axes.map(placesOf),
    colors: Array.from(good, (each) => (Number.isNaN(each) ? ink3 : rampColor(ramp, each ** BEST_POWER))),
    order: Uint32Array.from(good.keys()).sort((a, b) => rank(a) - rank(b)),
  };
}

interface ReadingProps {
  sweep: Sweep;
  trials: readonly Trial[];
  axes: readonly Axis[];
  hovered: Signal<number | null>;
  hint: string;
}

/** The trial that was pointed at last, so that its link can be reached. */
function Reading({ sweep, trials, axes, hovered, hint }: ReadingProps) {
  const last = useRef<number | null>(null);
  last.current = hovered.value ?? last.current;
  const at = trials.findIndex(({ number }) => number === last.current);
  if (at < 0) return <p class="fact parallel-reading">{hint}</p>;
  const trial = trials[at]!;
  return (
    <p class="parallel-reading">
      <TrialLink project={sweep.project} trial={trial}>{`trial ${formatCount(trial.number)}`}</TrialLink>
      {sweep.metric !== null && ` ${sweep.metric.name} ${trial.value === null ? "none" : formatNumber(trial.value)}`}
      {axes.filter(({ key }) => key !== VALUE_COLUMN).map((axis) => (
        <span key={axis.key} class="fact">{` ${axis.title} ${axisText(axis, axis.values[at]!)}`}</span>
      ))}
    </p>
  );
}
