/** What keys do on a focused chart: step through buckets and lines. */
import type { Signal } from "@preact/signals";

import type { ChartProps } from "./chartProps.js";
import type { Readout } from "./ChartReadout.js";
import type { Chart as Engine } from "../engine/chart.js";

type Current = () => Engine | null;
type Latest = { readonly current: ChartProps };

export function makeKeys(
  current: Current,
  latest: Latest,
  source: object,
  readout: Signal<Readout | null>,
) {
  let place = 0;
  const go = (x: number | null) => {
    const engine = current();
    if (engine === null || x === null) return;
    engine.setCursor(x);
    latest.current.link.cursor.value = { x, source };
    const hits = engine.hits();
    place = Math.min(place, Math.max(0, hits.length - 1));
    const ordered = [...hits.slice(place), ...hits.slice(0, place)];
    latest.current.link.highlighted.value = ordered[0]?.line.series.runId || null;
    const box = { left: engine.pixelAt(x) ?? 0, top: 0, width: engine.cssWidth() };
    readout.value = { hits: ordered, x, ...box, isKeyboard: true };
  };
  const clear = () => {
    const { link } = latest.current;
    if (link.cursor.peek()?.source !== source) return;
    readout.value = null;
    link.cursor.value = null;
    link.highlighted.value = null;
  };
  const cursor = () => latest.current.link.cursor.peek()?.x ?? null;
  const actions: Record<string, () => void> = {
    ArrowRight: () => go(current()?.neighbour(cursor(), 1) ?? cursor()),
    ArrowLeft: () => go(current()?.neighbour(cursor(), -1) ?? cursor()),
    Home: () => go(current()?.neighbour(null, 1) ?? null),
    End: () => go(current()?.neighbour(null, -1) ?? null),
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    Escape: clear,
    Enter: () => latest.current.onFull?.(),
    f: () => latest.current.onFull?.(),
  };
  function step(by: number): void {
    const count = current()?.hits().length ?? 0;
    if (count > 0) place = (place + by + count) % count;
    go(cursor() ?? current()?.neighbour(null, 1) ?? null);
  }
  return {
    down(event: KeyboardEvent) {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target !== event.currentTarget)
        return;
      const action = actions[event.key];
      if (action === undefined) return;
      event.preventDefault();
      action();
    },
    blur: clear,
  };
}
