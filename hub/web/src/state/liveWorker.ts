/** The SharedWorker that holds the live stream of all tabs of a browser. */
import { LiveStreams, type LiveEvent, type LiveWatch } from "./liveStream.js";

export type ToWorker =
  /** `lock` is held by the tab as long as it lives. */
  | { readonly type: "hello"; readonly lock: string }
  | { readonly type: "watch"; readonly id: number; readonly watch: LiveWatch | null };
export interface FromWorker {
  readonly id: number;
  readonly event: LiveEvent;
}

const streams = new LiveStreams({
  fetch: (path, init) => fetch(path, init),
  after: (milliseconds, call) => {
    const timer = setTimeout(call, milliseconds);
    return () => clearTimeout(timer);
  },
  random: Math.random,
});

addEventListener("connect", (connected) => {
  const port = (connected as MessageEvent).ports[0]!;
  const owners = new Map<number, object>();
  const ignore = () => undefined;
  port.onmessage = ({ data }: MessageEvent<ToWorker>) => {
    if (data.type === "hello") {
      // The lock is free when the tab is gone, however it went.
      void navigator.locks.request(data.lock, () => {
        for (const owner of owners.values()) streams.watch(owner, null, ignore);
        owners.clear();
        port.close();
      });
      return;
    }
    const { id, watch } = data;
    const owner = owners.get(id) ?? {};
    if (watch === null) owners.delete(id);
    else owners.set(id, owner);
    streams.watch(owner, watch, (event) => port.postMessage({ id, event } satisfies FromWorker));
  };
});
