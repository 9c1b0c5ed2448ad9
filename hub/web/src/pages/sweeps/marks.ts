/** The marks of trials in a drawing: a shape and a colour for each kind of end. Pure. */
import type { Trial } from "../../api/sweeps.js";

export type MarkKind = "finished" | "running" | "stopped" | "failed" | "none";

/** In the order of the legend. */
export const MARKS: readonly { kind: MarkKind; text: string }[] = [
  { kind: "finished", text: "finished" },
  { kind: "running", text: "running" },
  { kind: "stopped", text: "stopped" },
  { kind: "failed", text: "failed or crashed" },
  { kind: "none", text: "without a value" },
];

export function markOf({ state, value }: Trial): MarkKind {
  if (state === "failed" || state === "crashed") return "failed";
  if (value === null || !Number.isFinite(value)) return "none";
  if (state === "running" || state === "waiting") return "running";
  return state === "stopped" ? "stopped" : "finished";
}

const RADIUS = 3.5;
const SMALL_RADIUS = 2;
/** More marks than this are smaller. */
const SMALL_FROM = 300;

const SHAPES: Readonly<Record<MarkKind, (x: number, y: number, r: number) => string>> = {
  finished: (x, y, r) => circle(x, y, r - 0.5),
  running: circle,
  stopped: (x, y, r) => `M${x - r} ${y - r}H${x + r}L${x} ${y + r}Z`,
  failed: (x, y, r) => `M${x - r} ${y - r}L${x + r} ${y + r}M${x + r} ${y - r}L${x - r} ${y + r}`,
  none: (x, y, r) => `M${x} ${y - r}V${y + r}`,
};

export function markRadius(count: number): number {
  return count > SMALL_FROM ? SMALL_RADIUS : RADIUS;
}

/** The path of a mark around a point, in SVG's words. */
export function markPath(kind: MarkKind, x: number, y: number, radius = RADIUS): string {
  return SHAPES[kind](Math.round(x * 10) / 10, Math.round(y * 10) / 10, radius);
}

function circle(x: number, y: number, r: number): string {
  return `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;
}
