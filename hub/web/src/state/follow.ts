/** Ask again for data of a run, such as its writers, when the run itself changed. */
import { useEffect, useMemo, useRef } from "preact/hooks";

import type { Resource } from "./resource.js";

export interface Follower {
  ask(): Promise<void>;
  stop(): void;
}

/** Asks that arrive while a request runs are joined into one more request after it. */
export function makeFollower(load: () => Promise<void>): Follower {
  let isAsking = false;
  let isBehind = false;
  let isOver = false;
  return {
    async ask() {
      isBehind = true;
      if (isAsking) return;
      isAsking = true;
      while (isBehind && !isOver) {
        isBehind = false;
        await load();
      }
      isAsking = false;
    },
    stop: () => void (isOver = true),
  };
}

/** Ask anew whenever one of `facts` changes. The page reads the run again at each live event. */
export function useFollow<T>(resource: Resource<T>, facts: readonly (string | number | null)[]): void {
  const follower = useMemo(() => makeFollower(() => resource.load()), [resource]);
  const followed = useRef<Follower | null>(null);
  useEffect(() => follower.stop, [follower]);
  useEffect(() => {
    // The resource asks by itself at first.
    if (followed.current === follower) void follower.ask();
    followed.current = follower;
  }, [follower, ...facts]);
}

interface RunFacts {
  readonly state: string;
  readonly writers: number;
  readonly last_seen: number | null;
  readonly gap_count: number;
  readonly dropped_points: number;
}

/** What changes in a run with its writers, their states, or its gaps. */
export function writerFacts(run: RunFacts): readonly (string | number | null)[] {
  return [run.state, run.writers, run.last_seen, run.gap_count, run.dropped_points];
}
