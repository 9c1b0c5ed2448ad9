/** What a chart is given, and what charts side by side share. */
import { signal, type Signal } from "@preact/signals";

import type { ChartState } from "../engine/chart.js";
import type { ChartSeries, Smoothing } from "../engine/lines.js";
import type { AxisUnit, ScaleKind } from "../engine/scales.js";

/** What charts side by side share. */
export interface ChartLink {
  /** x under the pointer, and the chart that it is over. */
  readonly cursor: Signal<{ readonly x: number; readonly source: object } | null>;
  /** The run that the pointer is on, in a chart or in a list beside it. */
  readonly highlighted: Signal<string | null>;
}

export function makeChartLink(highlighted: Signal<string | null> = signal(null)): ChartLink {
  return { cursor: signal(null), highlighted };
}

export interface ChartProps {
  /** What the chart shows, for screen readers. */
  label: string;
  series: readonly ChartSeries[];
  link: ChartLink;
  xUnit?: AxisUnit;
  /** True: x has whole numbers only, such as steps. */
  xIsWhole?: boolean;
  /** What x is, in read-outs: "step". */
  xName?: string;
  xScale?: "linear" | "log";
  yScale?: ScaleKind;
  /** Shown range of x; null: all. */
  zoom?: readonly [number, number] | null;
  smoothing?: Smoothing;
  /** Draw the range between minimum and maximum around each line. */
  bands?: boolean;
  /** The user chose another range of x; null: all. Without it the chart does not zoom. */
  onZoom?: (range: readonly [number, number] | null, how: "drag" | "wheel" | "back") => void;
  /** Double click. Default: show all. */
  onZoomBack?: () => void;
  /** Enter or `f` on the focused chart. */
  onFull?: () => void;
  /** How a value of y is written in read-outs. */
  formatY?: (value: number) => string;
  /** Called after each drawing. */
  onDrawn?: (state: ChartState) => void;
}
