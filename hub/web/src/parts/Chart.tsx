/**
 * A chart of series over steps, time or another metric.
 *
 * Draws with the engine on two canvases. Drag across to zoom in, double-click to go one zoom back,
 * `0` shows all. The cursor and the highlighted run are shared by all charts that have the same
 * `link`. Focused, the arrow keys step the cursor by bucket (left, right) and from line to line
 * (up, down), and a read-out says what is there.
 */
import { useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";

import { Chart as Engine, type ChartState } from "../engine/chart.js";
import { formatValue } from "../engine/format.js";
import type { Smoothing } from "../engine/lines.js";
import { theme } from "../state/theme.js";
import { makeKeys } from "./chartKeys.js";
import { makePointer } from "./chartPointer.js";
import type { ChartProps } from "./chartProps.js";
import { ChartReadout, type Readout } from "./ChartReadout.js";
import { chartTheme } from "./chartTheme.js";
import { followSize } from "./followSize.js";

const PLAIN: Smoothing = { halfLife: 0, unit: "x" };

declare global {
  interface HTMLElement {
    /** What a chart has drawn, for tests. */
    chart?: { debugState(): ChartState };
  }
}

export function Chart(props: ChartProps) {
  const root = useRef<HTMLDivElement>(null);
  const base = useRef<HTMLCanvasElement>(null);
  const overlay = useRef<HTMLCanvasElement>(null);
  const engine = useRef<Engine | null>(null);
  const readout = useSignal<Readout | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const source = useMemo(() => ({}), []);

  useLayoutEffect(() => {
    const made = new Engine({ base: base.current!, overlay: overlay.current! });
    engine.current = made;
    const element = root.current!;
    element.chart = made;
    made.onDrawn = () => {
      const state = made.debugState();
      element.dataset["drawn"] = String(state.dataDraws);
      element.dataset["technique"] = state.technique;
      latest.current.onDrawn?.(state);
    };
    const unfollow = followSize(element, made);
    return () => {
      unfollow();
      made.destroy();
      delete element.chart;
      engine.current = null;
    };
  }, []);

  const { series, xUnit = "number", xScale = "linear", yScale = "linear", zoom = null } = props;
  const { xIsWhole = false } = props;
  const { smoothing = PLAIN, bands = true, link } = props;
  const colors = theme.value;
  useLayoutEffect(() => {
    engine.current?.update({
      series,
      xUnit,
      xIsWhole,
      xScale,
      yScale,
      zoom,
      smoothing,
      bands,
      theme: chartTheme(colors),
    });
  }, [series, xUnit, xIsWhole, xScale, yScale, zoom?.[0], zoom?.[1], smoothing, bands, colors]);

  useSignalEffect(() => {
    const cursor = link.cursor.value;
    if (cursor === null) engine.current?.setCursor(null);
    else if (cursor.source !== source) engine.current?.setCursor(cursor.x);
    if (cursor?.source !== source) readout.value = null;
  });
  useSignalEffect(() => engine.current?.setHighlight(link.highlighted.value));

  const pointer = useMemo(() => makePointer(() => engine.current, latest, source, readout), []);
  const keys = useMemo(() => makeKeys(() => engine.current, latest, source, readout), []);
  useEffect(() => {
    const element = root.current!;
    // Not through Preact: only a listener that is not passive may keep the page from zooming.
    element.addEventListener("wheel", pointer.wheel, { passive: false });
    return () => {
      element.removeEventListener("wheel", pointer.wheel);
      pointer.leave();
    };
  }, []);
  return (
    <div
      ref={root}
      class="chart"
      role="group"
      aria-roledescription="chart"
      aria-label={props.label}
      tabIndex={0}
      onPointerDown={pointer.down}
      onPointerMove={pointer.move}
      onPointerUp={pointer.up}
      onPointerCancel={pointer.cancel}
      onPointerLeave={pointer.leave}
      onDblClick={pointer.back}
      onKeyDown={keys.down}
      onBlur={keys.blur}
    >
      <canvas ref={base} aria-hidden="true" />
      <canvas ref={overlay} aria-hidden="true" />
      <ChartReadout
        readout={readout}
        xUnit={xUnit}
        xName={props.xName ?? "x"}
        formatY={props.formatY ?? formatValue}
      />
    </div>
  );
}
