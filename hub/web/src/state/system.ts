/**
 * What the nodes of a run measured: one request for all metrics, asked again while the run runs.
 *
 * A zoom asks for finer buckets; what is drawn stays until they are here.
 */
import { batch, signal, type ReadonlySignal } from "@preact/signals";

import { isAborted } from "../api/errors.js";
import { listDevices, runPath } from "../api/hub.js";
import type { RunDevices } from "../api/types.js";
import type { BucketSeries, SeriesFrame } from "../engine/frames.js";
import { askFrames } from "./askSeries.js";

const BUCKETS = 512;
const AGAIN_MS = 5000;
const SECOND_US = 1e6;

/** A range of moments in microseconds since 1970 UTC, as charts have them. */
export type TimeRange = readonly [number, number];
export type NodeMetrics = ReadonlyMap<string, readonly BucketSeries[]>;
/** The GPUs of the run's processes, or all of its nodes. */
export type DeviceChoice = "run" | "all";
type AskDevices = (project: string, runId: string, abort: { signal: AbortSignal }) => Promise<RunDevices>;
type Ask = (path: string, body: unknown, abort: AbortSignal) => AsyncIterable<SeriesFrame>;

export interface SystemState {
  /** By metric, in the order they are shown; null until the first answer. */
  metrics: ReadonlySignal<NodeMetrics | null>;
  error: ReadonlySignal<Error | null>;
  zoom: ReadonlySignal<TimeRange | null>;
  choice: ReadonlySignal<DeviceChoice>;
  /** The GPUs of the run's nodes; null until they are known. */
  devices: ReadonlySignal<RunDevices | null>;
  load(): Promise<void>;
  zoomTo(range: TimeRange | null): void;
  choose(choice: DeviceChoice): void;
  follow(): () => void;
  close(): void;
}

export function makeSystem(
  project: string,
  runId: string,
  ask: Ask = askFrames,
  askDevices: AskDevices = listDevices,
): SystemState {
  const metrics = signal<NodeMetrics | null>(null);
  const error = signal<Error | null>(null);
  const zoom = signal<TimeRange | null>(null);
  const choice = signal<DeviceChoice>("run");
  const devices = signal<RunDevices | null>(null);
  let running: AbortController | null = null;

  async function load(): Promise<void> {
    running?.abort();
    const mine = new AbortController();
    running = mine;
    const range = zoom.peek();
    const body = {
      first: range === null ? null : range[0] / SECOND_US,
      last: range === null ? null : range[1] / SECOND_US,
      buckets: BUCKETS,
      devices: choice.peek(),
    };
    try {
      const known = askDevices(project, runId, { signal: mine.signal });
      known.catch(() => undefined); // Awaited below; the frames may fail before.
      const read = new Map<string, readonly BucketSeries[]>();
      for await (const frame of ask(`${runPath(project, runId)}/system`, body, mine.signal)) {
        if (frame.error !== null) throw new Error(`${frame.metric}: ${frame.error.message}`);
        if (frame.series.length > 0) read.set(frame.metric, frame.series);
      }
      const found = await known;
      if (running !== mine) return;
      const sorted = new Map([...read].sort(([a], [b]) => compareMetrics(a, b)));
      batch(() => ((metrics.value = sorted), (devices.value = found), (error.value = null)));
    } catch (failure) {
      if (running === mine && !isAborted(failure)) error.value = failure as Error;
    } finally {
      if (running === mine) running = null;
    }
  }

  return {
    metrics,
    error,
    zoom,
    choice,
    devices,
    load,
    zoomTo(range) {
      zoom.value = range;
      void load();
    },
    choose(chosen) {
      choice.value = chosen;
      void load();
    },
    follow() {
      const timer = setInterval(() => {
        if (document.visibilityState === "visible" && running === null) void load();
      }, AGAIN_MS);
      return () => clearInterval(timer);
    },
    close: () => running?.abort(),
  };
}

/** By name, but running totals last: their rates say the same and can be read. */
function compareMetrics(a: string, b: string): number {
  const isTotal = (metric: string) => Number(metric.endsWith("_total"));
  return isTotal(a) - isTotal(b) || (a < b ? -1 : 1);
}

/** Names of lines: the device, with its host where there are several hosts. */
export function nodeSeriesName(series: Pick<BucketSeries, "host" | "label">, isOneHost: boolean): string {
  const device = series.label === "" ? "host" : series.label;
  return isOneHost ? device : `${series.host} ${device}`;
}
