/** The lines of parallel coordinates, and above them the one that is pointed at. */
import { useSignalEffect, type Signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";

import type { Trial } from "../../api/sweeps.js";
import { drawParallel, strokeParallel, type ParallelLayout, type ParallelLines } from "../../engine/parallel.js";
import { chartTheme } from "../../parts/chartTheme.js";
import { theme } from "../../state/theme.js";

const HOVERED_PIXELS = 3;

interface ParallelCanvasProps {
  /** CSS pixels. */
  width: number;
  height: number;
  xs: Float32Array;
  lines: ParallelLines;
  trials: readonly Trial[];
  hovered: Signal<number | null>;
}

export function ParallelCanvas(props: ParallelCanvasProps) {
  const base = useRef<HTMLCanvasElement>(null);
  const overlay = useRef<HTMLCanvasElement>(null);
  const latest = useRef(props);
  latest.current = props;
  const { width, height, xs, lines, trials, hovered } = props;
  const colors = theme.value;
  const drawHovered = () => {
    const { lines: drawn, trials: all } = latest.current;
    const context = overlay.current!.getContext("2d")!;
    context.clearRect(0, 0, context.canvas.width, context.canvas.height);
    const item = all.findIndex(({ number }) => number === hovered.peek());
    if (item < 0) return;
    const { ramp } = chartTheme(theme.peek());
    strokeParallel(context, layoutOf(latest.current), drawn, item, ramp.at(-1)!, HOVERED_PIXELS);
  };
  useLayoutEffect(() => {
    const layout = layoutOf(latest.current);
    for (const canvas of [base.current!, overlay.current!]) {
      canvas.width = layout.width;
      canvas.height = layout.height;
    }
    drawParallel(base.current!.getContext("2d")!, layout, lines, chartTheme(colors));
    base.current!.dataset["drawn"] = String(Number(base.current!.dataset["drawn"] ?? 0) + 1);
    drawHovered();
  }, [width, height, xs, lines, trials, colors]);
  useSignalEffect(() => {
    hovered.value;
    drawHovered();
  });
  const style = { width: `${width}px`, height: `${height}px` };
  return (
    <>
      <canvas ref={base} style={style} aria-hidden="true" />
      <canvas ref={overlay} style={style} aria-hidden="true" />
    </>
  );
}

function layoutOf({ width, height, xs }: ParallelCanvasProps): ParallelLayout {
  const ratio = devicePixelRatio || 1;
  return {
    width: Math.round(width * ratio),
    height: Math.round(height * ratio),
    ratio,
    xs: xs.map((x) => x * ratio),
  };
}
