/** The lines of a panel: what is held of its metric, with names and colours of runs or groups. */
import type { BucketSeries } from "../../engine/frames.js";
import { formatCount, formatX } from "../../engine/format.js";
import type { ChartSeries } from "../../engine/lines.js";
import { countNonFinite } from "../../engine/marks.js";
import type { AxisUnit } from "../../engine/scales.js";
import type { RunOverview } from "../../api/types.js";
import { runColor } from "../../state/palette.js";
import type { Theme } from "../../state/theme.js";
import type { RunGroup } from "./groups.js";

type HeldSeries = ReadonlyMap<string, readonly BucketSeries[]>;

export interface LineOwner {
  /** Run id, or name of a group. */
  readonly id: string;
  readonly runId: string;
  readonly name: string;
  readonly color: string;
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
  return runs.map((run) => ({
    id: run.run_id,
    runId: run.run_id,
    name: run.name || run.run_id,
    color: runColor(run, theme),
  }));
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
  for (const { id, runId, name, color } of owners) {
    const fine = held.get(id);
    const coarse = whole?.get(id);
    for (const data of fine ?? coarse ?? stale?.get(id) ?? []) {
      const before =
        fine === undefined ? null : (coarse?.find((one) => one.label === data.label) ?? null);
      const labelled = data.label === "" ? name : `${name} ${data.label}`;
      lines.push({
        id: JSON.stringify([id, data.label]),
        runId,
        name: labelled,
        color,
        data,
        before,
      });
    }
  }
  return lines;
}

/** What is behind the picture: points, buckets, how they are shown. */
export function honesty(
  lines: readonly ChartSeries[],
  shown: { bands: boolean; technique: string; smoothing: number },
): string {
  if (lines.length === 0) return "";
  let points = 0;
  let buckets = 0;
  let width = 0;
  for (const { data } of lines) {
    for (let i = 0; i < data.length; i++) points += data.count[i]!;
    buckets = Math.max(buckets, data.length);
    width = Math.max(width, data.width);
  }
  const parts = [`${formatCount(points)} pts`];
  const isSampled = lines.some(({ data }) => data.count.some((count) => count > 1));
  if (isSampled) {
    parts.push(`${buckets} buckets`);
    if (shown.technique === "density") parts.push(`density of ${lines.length} means`);
    else if (lines[0]!.data.std !== null) parts.push(shown.bands ? "mean ± std" : "mean");
    else parts.push(shown.bands ? "mean, min–max" : "mean");
  } else if (shown.technique === "density") parts.push(`density of ${lines.length} runs`);
  if (shown.smoothing > 0) parts.push("smoothed");
  return parts.join(" · ");
}

/** Warning about values that no line shows; "" without any. */
export function nonFiniteText(
  lines: readonly ChartSeries[],
  xUnit: AxisUnit,
  xName: string,
): string {
  const found = countNonFinite(lines.map(({ data }) => data));
  if (found === null) return "";
  const parts = [
    found.nan > 0 ? `${formatCount(found.nan)} NaN` : "",
    found.positiveInf > 0 ? `${formatCount(found.positiveInf)} +Inf` : "",
    found.negativeInf > 0 ? `${formatCount(found.negativeInf)} −Inf` : "",
  ].filter((part) => part !== "");
  const at = formatX(found.firstX, xUnit);
  return `${parts.join(", ")} from ${xUnit === "number" ? `${xName} ${at}` : at}`;
}
