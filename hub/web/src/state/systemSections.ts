/**
 * Node metrics in sections: GPUs, the run's processes, the limits of its job, the node, disks, network. Pure.
 *
 * The first parts of the names decide. Within a section the most useful metrics come first, and
 * metrics that never changed are kept apart: limits, totals, counters of errors that stayed 0.
 */
import type { BucketSeries } from "../engine/frames.js";

export interface SystemSection {
  readonly title: string;
  /** Metrics to draw, in order. */
  readonly metrics: readonly string[];
  /** Metrics that had one value all the time. */
  readonly constant: readonly string[];
}

const TITLES: readonly (readonly [string, readonly string[]])[] = [
  ["GPUs", ["gpu", "mig"]],
  ["Processes of this run", ["process"]],
  ["Limits of the job (cgroup)", ["cgroup"]],
  ["Node", []],
  ["Disks", ["disk"]],
  ["Network", ["network"]],
];

/** In this order, and drawn even where nothing happened. */
const FIRST = [
  "gpu/utilization_ratio", "gpu/memory_used_bytes", "gpu/power_watts", "gpu/temperature_celsius",
  "mig/memory_used_bytes", "gpu/memory_utilization_ratio", "gpu/sm_clock_hertz",
  "process/cpu_cores", "process/resident_bytes", "process/gpu_memory_bytes",
  "cpu/utilization_ratio", "memory/used_bytes", "training/cpu_cores", "training/resident_bytes",
  "disk/read_bytes_per_second", "disk/written_bytes_per_second",
  "network/receive_bytes_per_second", "network/transmit_bytes_per_second",
];
const PLACES = new Map(FIRST.map((metric, place) => [metric, place]));

export function systemSections(metrics: ReadonlyMap<string, readonly BucketSeries[]>): SystemSection[] {
  const found = new Map<string, { metrics: string[]; constant: string[] }>();
  for (const [metric, series] of metrics) {
    const title = titleOf(metric);
    const section = found.get(title) ?? { metrics: [], constant: [] };
    found.set(title, section);
    const isKept = PLACES.has(metric) || !series.every(isConstant);
    (isKept ? section.metrics : section.constant).push(metric);
  }
  return TITLES.flatMap(([title]) => {
    const section = found.get(title);
    if (!section) return [];
    const sorted = [...section.metrics].sort((a, b) => placeOf(a) - placeOf(b));
    return [{ title, metrics: sorted, constant: section.constant }];
  });
}

function titleOf(metric: string): string {
  const kind = metric.split("/", 1)[0]!;
  return TITLES.find(([, kinds]) => kinds.includes(kind))?.[0] ?? "Node";
}

/** Sorting is stable: the others stay in the order they came in. */
const placeOf = (metric: string) => PLACES.get(metric) ?? FIRST.length;

function isConstant(series: BucketSeries): boolean {
  const { min, max, length } = series;
  for (let at = 0; at < length; at++) if (min[at] !== min[0] || max[at] !== min[0]) return false;
  return true;
}

/** The moment of a series' last point in µs; -Infinity where it has none. */
export const lastMoment = (series: Pick<BucketSeries, "lastX" | "length">) =>
  series.length > 0 ? series.lastX[series.length - 1]! : -Infinity;

/** Devices that have had no value for so long, while others of the metric have, are gone. */
const GONE_US = 60e6;

/** True where a series ended well before the newest of its metric. */
export function hasEnded(series: BucketSeries, newest: number): boolean {
  return lastMoment(series) < newest - Math.max(GONE_US, 2 * series.width);
}

/** The same line has the same colour in every panel of a section. */
export function deviceSlots(all: Iterable<readonly BucketSeries[]>): ReadonlyMap<string, number> {
  const names = new Set<string>();
  for (const series of all) for (const each of series) names.add(deviceKey(each));
  const sorted = [...names].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  return new Map(sorted.map((name, slot) => [name, slot]));
}

export const deviceKey = (series: Pick<BucketSeries, "host" | "label">) =>
  JSON.stringify([series.host, series.label]);
