/** Poll the hub for data without live events. */
import { useEffect } from "preact/hooks";

import type { Resource } from "./resource.js";

const PAUSE_MS = 2000;
/** An answer that takes long is asked for less often: at most this part of the time goes to it. */
const BUSY_PART = 0.1;

/** The pause after an answer that took `tookMs`. Pure. */
export function pauseAfter(tookMs: number): number {
  return Math.max(PAUSE_MS, tookMs / BUSY_PART);
}

/** Ask anew while `isWanted` and the page is looked at. */
export function usePolling<T>(resource: Resource<T>, isWanted: boolean): void {
  useEffect(() => {
    if (!isWanted) return;
    let isOver = false;
    const again = async () => {
      const began = performance.now();
      if (document.visibilityState === "visible" && !resource.isLoading.peek()) await resource.load();
      if (!isOver) timer = setTimeout(again, pauseAfter(performance.now() - began));
    };
    let timer = setTimeout(again, PAUSE_MS);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [resource, isWanted]);
}
