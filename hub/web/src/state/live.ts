/**
 * Live events from the hub: one stream per browser, held by a SharedWorker.
 *
 * A browser without SharedWorker gives each visible tab a stream of its own. A hidden tab watches
 * nothing; when it is visible again, it hears that it may have missed events.
 */
import { signal } from "@preact/signals";

import { isHubReachable } from "../api/client.js";
import { LiveStreams, type LiveEvent, type LiveWatch } from "./liveStream.js";
import type { FromWorker, ToWorker } from "./liveWorker.js";

export interface SeriesNews {
  readonly run_id: string;
  readonly metric: string;
  readonly version: number;
}

export interface RunNews {
  readonly run_id: string;
  readonly state: string;
  readonly last_seen: number | null;
}

export interface LiveListener {
  /**
   * The list of runs changed. The first call only says how things stood when the watch began: a
   * list that was asked for at the same time has nearly always the same.
   */
  onRuns?(isFirst: boolean): void;
  onRun?(news: RunNews): void;
  onSeries?(news: readonly SeriesNews[]): void;
  /** These runs have more metrics than was told before; the first call names all that have some. */
  onMetrics?(runIds: readonly string[]): void;
  /** Media of these runs were logged, or their bytes are ready or have failed. */
  onMedia?(runIds: readonly string[]): void;
  onProjects?(): void;
  /** News may have been missed: ask for everything again. */
  onMissed?(): void;
}

export interface Watching {
  change(watch: LiveWatch): void;
  close(): void;
}

/** False while the stream is down; null before the first answer. */
export const isLive = signal<boolean | null>(null);
/** True: the viewer paused the page; no news come in. */
export const isPaused = signal(false);

interface Channel {
  watch(id: number, watch: LiveWatch | null): void;
}

interface Registered {
  watch: LiveWatch;
  listener: LiveListener;
  mayHaveMissed: boolean;
  runsVersion: unknown;
}

const registered = new Map<number, Registered>();
let lastId = 0;
let channel: Channel | null = null;

export function watchLive(watch: LiveWatch, listener: LiveListener): Watching {
  const id = ++lastId;
  registered.set(id, { watch, listener, mayHaveMissed: false, runsVersion: null });
  channel ??= openChannel();
  if (isListening()) channel.watch(id, watch);
  return {
    change(next) {
      const known = registered.get(id);
      if (known === undefined || sameWatch(known.watch, next)) return;
      known.watch = next;
      if (isListening()) channel?.watch(id, next);
    },
    close() {
      registered.delete(id);
      channel?.watch(id, null);
    },
  };
}

export function setPaused(paused: boolean): void {
  if (isPaused.value === paused) return;
  isPaused.value = paused;
  follow();
}

function isListening(): boolean {
  return !document.hidden && !isPaused.value;
}

/** Start or stop all watches as the tab is shown, hidden or paused. */
function follow(): void {
  for (const [id, known] of registered) {
    if (!isListening()) known.mayHaveMissed = true;
    channel?.watch(id, isListening() ? known.watch : null);
  }
}

function openChannel(): Channel {
  document.addEventListener("visibilitychange", follow);
  if (typeof SharedWorker === "undefined" || !("locks" in navigator)) return ownChannel();
  const worker = new SharedWorker(new URL("./liveWorker.ts", import.meta.url), {
    type: "module",
    name: "stepwell live",
  });
  const { port } = worker;
  let fallback: Channel | null = null;
  const waiting = new Map<number, LiveWatch | null>();
  worker.onerror = () => {
    fallback = ownChannel();
    for (const [id, watch] of waiting) fallback.watch(id, watch);
  };
  port.onmessage = ({ data }: MessageEvent<FromWorker>) => take(data.id, data.event);
  const send = (message: ToWorker) => port.postMessage(message);
  const lock = `stepwell tab ${crypto.randomUUID()}`;
  void navigator.locks.request(lock, () => {
    send({ type: "hello", lock });
    return new Promise(() => undefined);
  });
  return {
    watch(id, watch) {
      waiting.set(id, watch);
      if (fallback === null) send({ type: "watch", id, watch });
      else fallback.watch(id, watch);
    },
  };
}

function ownChannel(): Channel {
  const streams = new LiveStreams({
    fetch: (path, init) => fetch(path, init),
    after: (milliseconds, call) => {
      const timer = setTimeout(call, milliseconds);
      return () => clearTimeout(timer);
    },
    random: Math.random,
  });
  const owners = new Map<number, object>();
  return {
    watch(id, watch) {
      const owner = owners.get(id) ?? {};
      if (watch === null) owners.delete(id);
      else owners.set(id, owner);
      streams.watch(owner, watch, (event) => take(id, event));
    },
  };
}

function take(id: number, event: LiveEvent): void {
  const known = registered.get(id);
  if (known === undefined || !isListening()) return;
  if (event.type === "state") return takeState(known, event.isConnected);
  const { listener } = known;
  if (event.event === "runs")
    takeRuns(known, (event.data as { runs_version?: unknown }).runs_version);
  if (event.event === "run") listener.onRun?.(event.data as RunNews);
  if (event.event === "metrics")
    listener.onMetrics?.((event.data as { run_ids?: string[] }).run_ids ?? []);
  if (event.event === "media")
    listener.onMedia?.((event.data as { run_ids?: string[] }).run_ids ?? []);
  if (event.event === "projects") listener.onProjects?.();
  if (event.event === "series")
    listener.onSeries?.((event.data as { series: SeriesNews[] }).series ?? []);
}

function takeRuns(known: Registered, version: unknown): void {
  const isFirst = known.runsVersion === null;
  if (known.runsVersion === version) return;
  known.runsVersion = version ?? null;
  known.listener.onRuns?.(isFirst);
}

function takeState(known: Registered, isConnected: boolean): void {
  isLive.value = isConnected;
  isHubReachable.value = isConnected;
  if (isConnected && known.mayHaveMissed) {
    known.mayHaveMissed = false;
    known.listener.onMissed?.();
  }
  if (!isConnected) known.mayHaveMissed = true;
}

function sameWatch(a: LiveWatch, b: LiveWatch): boolean {
  const same = (x: readonly string[], y: readonly string[]) =>
    x.length === y.length && x.every((one, i) => one === y[i]);
  return a.project === b.project && a.media === b.media && same(a.runs, b.runs) && same(a.metrics, b.metrics);
}
