/** Ask again when the hub says that something changed, at most so often. */
import { useEffect } from "preact/hooks";

import { watchLive } from "./live.js";
import type { LiveWatch } from "./liveStream.js";
import { throttled } from "./throttled.js";

const AGAIN_MS = 1000;

/** `watch` null watches nothing. `ask` may be another function at each drawing. */
export function useLive(watch: LiveWatch | null, ask: () => void): void {
  const key = JSON.stringify(watch);
  useEffect(() => {
    if (watch === null) return;
    const again = throttled(AGAIN_MS, ask);
    const { call } = again;
    const watching = watchLive(watch, { onRuns: call, onRun: call, onProjects: call, onMissed: call });
    return () => {
      again.cancel();
      watching.close();
    };
  }, [key]);
}
