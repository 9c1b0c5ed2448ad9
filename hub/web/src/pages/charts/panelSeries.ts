/** The lines of a panel: cached series of its metric, with names and colours of runs or groups. */
import { lowerBound, middle } from "../../engine/buckets.js";
import type { BucketSeries } from "../../engine/frames.js";
import { formatCount, formatX } from "../../engine/format.js";
import type { ChartSeries } from "../../engine/lines.js";
import { countNonFinite, countNotPositive, countNotPositiveX, orInfinity, type SeriesPart } from "../../engine/marks.js";
import type { AxisUnit, ScaleKind } from "../../engine/scales.js";
import { formatAmount } from "../../parts/format.js";
import type { RunOverview } from "../../api/types.js";
import { runColor, SLOT_COUNT } from "../../state/palette.js";
import type { Theme } from "../../state/theme.js";
import type { RunGroup } from "./groups.js";

type HeldSeries = ReadonlyMap<string, readonly BucketSeries[]>;

type Range = readonly [number, number] | null;

export interface LineOwner {
  /** Run id, or name of a group. */
  readonly id: string;
  readonly runId: string;
  readonly name: string;
  readonly color: string;
  /** Of a run that is drawn alone: a colour for each of its ranks, where they are drawn apart. */
  readonly rankColors?: readonly string[];
}

export function lineOwners(
  runs: readonly RunOverview[],
  groups: readonly RunGroup[] | null,
  theme: Theme,
): LineOwner[] {
  if (groups !== null) {
    return groups.map((group) => ({
      id: group.name,
      runId: "",
      name: group.name,
      color: runColor(group, theme),
    }));
  }
  const isAlone = runs.length === 1;
  return runs.map((run) => ({
    id: run.run_id,
    runId: run.run_id,
    name: run.name || run.run_id,
    color: runColor(run, theme),
    ...(isAlone ? { rankColors: rankColors(run, theme) } : {}),
  }));
}

function rankColors(run: RunOverview, theme: Theme): string[] {
  const others = Array.from({ length: SLOT_COUNT - 1 }, (_, i) =>
    runColor({ slot: run.slot + 1 + i, color: "" }, theme),
  );
  return [runColor(run, theme), ...others];
}

export function sameOwners(a: readonly LineOwner[], b: readonly LineOwner[]): boolean {
  const isSame = (x: LineOwner, y: LineOwner | undefined) =>
    x.id === y?.id && x.name === y.name && x.color === y.color;
  return a.length === b.length && a.every((one, i) => isSame(one, b[i]));
}

/**
 * `whole` fills in until `held`, the zoomed series, is here, and warms the smoothing up. `stale` is
 * what was drawn before the question changed: it fills in while the answer is on its way.
 */
export function panelSeries(
  owners: readonly LineOwner[],
  held: HeldSeries,
  whole: HeldSeries | null,
  stale: HeldSeries | null = null,
): ChartSeries[] {
  const lines: ChartSeries[] = [];
  for (const { id, runId, name, color, rankColors } of owners) {
    const fine = held.get(id);
    const coarse = whole?.get(id);
    for (const [rank, data] of (fine ?? coarse ?? stale?.get(id) ?? []).entries()) {
      const before =
        fine === undefined ? null : (coarse?.find((one) => one.label === data.label) ?? null);
      const labelled = data.label === "" ? name : `${name} ${data.label}`;
      lines.push({
        id: JSON.stringify([id, data.label]),
        runId,
        name: labelled,
        color: rankColors?.[rank % rankColors.length] ?? color,
        data,
        before,
      });
    }
  }
  return lines;
}

/**
 * The newest value of a line: of its newest point, or the mean of what several ranks logged there: the hub gives that
 * as the last value of a bucket. Of a group, the mean of its runs.
 * Of what `zoom` shows alone; null without a point there.
 */
export function lineEnd(
  { name, data }: ChartSeries,
  zoom: Range = null,
): { value: number; hint: string } | null {
  const [from, to] = bucketsIn(data, zoom);
  const end = to - 1;
  if (end < from) return null;
  if (data.runCount !== null)
    return {
      value: orInfinity(data.mean[end]!, data, end),
      hint: `${name}: mean of ${formatAmount(data.count[end]!, "point")}`,
    };
  const where = zoom === null ? "" : " of the shown range";
  const hint = `${name}: the newest point${where}, or the mean of its ranks`;
  if (data.newest && data.newestStep) {
    // The x may fall: the newest point is then not at the line's end.
    // The newest point of a bucket over an edge may be outside.
    let at = -1;
    for (let i = from; i < to; i++) {
      const isOver = zoom !== null && (data.firstX[i]! < zoom[0] || data.lastX[i]! > zoom[1]);
      if (!isOver && (at < 0 || data.newestStep[i]! > data.newestStep[at]!)) at = i;
    }
    if (at >= 0) return { value: orInfinity(data.newest[at]!, data, at), hint };
  }
  // Of a bucket over the edge, the first point is the only one that is known to be inside.
  if (zoom !== null && data.lastX[end]! > zoom[1])
    return {
      value: orInfinity(data.first[end]!, data, end),
      hint: `${name}: the first point of the last bucket`,
    };
  return { value: orInfinity(data.last[end]!, data, end), hint };
}

/** What is behind the picture: points, buckets, how they are shown. Only of what `zoom` shows. */
export function honesty(
  lines: readonly ChartSeries[],
  shown: { bands: boolean; technique: string; smoothing: number; zoom?: Range },
): string {
  if (lines.length === 0) return "";
  let points = 0;
  let buckets = 0;
  let isSampled = false;
  for (const { data } of lines) {
    const [from, to] = bucketsIn(data, shown.zoom ?? null);
    for (let i = from; i < to; i++) {
      points += data.count[i]!;
      isSampled ||= data.count[i]! > 1;
    }
    buckets = Math.max(buckets, to - from);
  }
  const parts = [formatAmount(points, "point")];
  if (isSampled) {
    parts.push(formatAmount(buckets, "bucket"));
    if (shown.technique === "density") parts.push(`density of ${formatAmount(lines.length, "mean")}`);
    else if (lines[0]!.data.std !== null) parts.push(shown.bands ? "mean ± std" : "mean");
    else parts.push(shown.bands ? "mean, min–max" : "mean");
  } else if (shown.technique === "density") parts.push(`density of ${formatAmount(lines.length, "run")}`);
  if (shown.smoothing > 0) parts.push("smoothed");
  return parts.join(" · ");
}

/** Indices [from, to) of the buckets that have points inside the range. */
function bucketsIn({ firstX, lastX, length }: BucketSeries, zoom: Range): [number, number] {
  if (zoom === null) return [0, length];
  const from = lowerBound(lastX, zoom[0]);
  const to = lowerBound(firstX, zoom[1]);
  return [from, Math.max(from, to < length && firstX[to] === zoom[1] ? to + 1 : to)];
}

/** Warning about values that no line shows; "" without any. A bucket has only about where they are. */
export function nonFiniteText(
  lines: readonly ChartSeries[],
  xUnit: AxisUnit,
  xName: string,
  zoom: Range = null,
): string {
  const found = countNonFinite(lines.map(({ data }) => ({ data, part: bucketsIn(data, zoom) })));
  if (found === null) return "";
  const parts = [
    found.nan > 0 ? `${formatCount(found.nan)} NaN` : "",
    found.positiveInf > 0 ? `${formatCount(found.positiveInf)} +Inf` : "",
    found.negativeInf > 0 ? `${formatCount(found.negativeInf)} -Inf` : "",
  ].filter((part) => part !== "");
  const at = formatX(found.firstX, xUnit);
  const from = found.isExact ? "from" : "from about";
  return `${parts.join(", ")} ${from} ${xUnit === "number" ? `${xName} ${at}` : at}`;
}

/** Warning about values that the y axis cannot show; "" without any. */
export function notPositiveText(
  lines: readonly ChartSeries[],
  yScale: ScaleKind,
  zoom: Range = null,
): string {
  if (yScale !== "log") return "";
  const parts = lines.map(({ data }) => ({ data, part: bucketsIn(data, zoom) }));
  const { count, isExact } = countNotPositive(parts);
  if (isExact && count === 0) return "";
  const amount = isExact ? `${formatCount(count)} ${count === 1 ? "value" : "values"}` : "values";
  return `${amount} ≤ 0 not drawn on a log axis`;
}

/** Warning about points that the x axis cannot show, such as step 0; "" without any. */
export function notPositiveXText(
  lines: readonly ChartSeries[],
  axes: { xScale: "linear" | "log"; xName: string },
  zoom: Range = null,
): string {
  if (axes.xScale !== "log") return "";
  const count = countNotPositiveX(lines.map(({ data }) => ({ data, part: bucketsIn(data, zoom) })));
  if (count === 0) return "";
  const points = `${formatCount(count)} ${count === 1 ? "point" : "points"}`;
  return `${points} at ${axes.xName} ≤ 0 not drawn on a log axis`;
}

/**
 * Warning about points over another metric that have no place on the axis: where that metric is NaN or infinite, and
 * before its first value; "" without any. In a part of the axis they are not counted.
 */
export function withoutXText(
  lines: readonly ChartSeries[],
  axes: { x: string; xName: string },
  zoom: Range = null,
): string {
  if (!axes.x.startsWith("metric:") || zoom !== null) return "";
  let count = 0;
  for (const { data } of lines) {
    let drawn = 0;
    for (let i = 0; i < data.length; i++) drawn += data.count[i]!;
    count += Math.max(0, data.version - drawn);
  }
  return count === 0 ? "" : `${formatAmount(count, "point")} without a finite ${axes.xName} not drawn`;
}

/**
 * Why a panel with points draws none of them: a logarithmic axis shows values above 0 only; "" else.
 * The range of such an axis is not that of the data.
 */
export function noPositiveText(
  lines: readonly ChartSeries[],
  axes: { xScale: "linear" | "log"; yScale: ScaleKind; xName: string },
  zoom: Range = null,
): string {
  const parts = lines.map(({ data }) => ({ data, part: bucketsIn(data, zoom) }));
  if (axes.xScale === "log" && countNotPositiveX(parts) > 0 && !hasPositive(parts, ({ firstX, lastX }, i) => middle(firstX[i]!, lastX[i]!)))
    return `No ${axes.xName} above 0 for the logarithmic x axis`;
  if (axes.yScale === "log" && countNotPositive(parts).count > 0 && !hasPositive(parts, ({ max }, i) => max[i]!))
    return "No positive values for the logarithmic y axis";
  return "";
}

function hasPositive(parts: readonly SeriesPart[], valueAt: (data: BucketSeries, i: number) => number): boolean {
  return parts.some(({ data, part }) => {
    for (let i = part[0]; i < part[1]; i++) if (valueAt(data, i) > 0) return true;
    return false;
  });
}
