/** The ranges on a sweep's axes: as they are drawn at once, in the address a few times a second. */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { throttled } from "../../state/throttled.js";
import { formatBrushes, parseBrushes, type Brushes } from "./brushes.js";
import type { sweepView } from "./view.js";

/** Browsers refuse more than a few hundred changes of the address in half a minute. */
const COMMIT_MS = 250;

export interface UsedBrushes {
  /** As the address has them. */
  kept: Brushes;
  /** With what a drag changes right now. */
  live: Brushes;
  change(next: Brushes): void;
}

export function useBrushes(view: ReturnType<typeof sweepView>): UsedBrushes {
  const texts = view.values.value.b;
  const kept = useMemo(() => parseBrushes(texts), [texts]);
  const changing = useSignal<Brushes | null>(null);
  const commit = useMemo(
    () =>
      throttled(COMMIT_MS, () => {
        if (changing.value !== null) view.change({ b: formatBrushes(changing.value) });
        changing.value = null;
      }),
    [view],
  );
  useEffect(() => commit.cancel, [commit]);
  return {
    kept,
    live: changing.value ?? kept,
    change(next) {
      changing.value = next;
      commit.call();
    },
  };
}
