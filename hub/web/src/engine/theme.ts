/** The inputs of drawing: colours, a font, and axes with their ticks. */
import type { Scale, Tick } from "./scales.js";

export interface ChartTheme {
  readonly ink3: string;
  readonly grid: string;
  readonly card: string;
  readonly accent: string;
  /** Density from sparse to dense. */
  readonly ramp: readonly string[];
  readonly font: string;
}

export interface Axes {
  readonly x: Scale;
  readonly y: Scale;
  readonly xTicks: readonly Tick[];
  readonly yTicks: readonly Tick[];
}
