/**
 * The twenty colours of runs, by slot. The hub gives a run its slot; a colour that was set on the
 * run itself goes first.
 *
 * Chosen for distance in OKLab with normal and colour-blind sight, and a contrast of 3:1 with the
 * page. Hues keep their slot in both themes.
 */
import type { Theme } from "./theme.js";

const LIGHT = [
  "#2462b1", "#de6f11", "#760909", "#a975e3", "#ab3573", "#511581", "#09a198", "#6e5c21",
  "#1e4b47", "#ab6d6c", "#737cb0", "#554589", "#7f2c6f", "#c94848", "#8e5793", "#97123a",
  "#617929", "#5c412c", "#b18a5a", "#35615b",
] as const;

const DARK = [
  "#6aaafe", "#bd4510", "#fea88a", "#8753be", "#d56e9e", "#997ff1", "#4dfef9", "#a49807",
  "#87d2bf", "#9a5d65", "#616fa1", "#cbbdf6", "#d388d9", "#f98696", "#b463c6", "#db5856",
  "#c1f678", "#fadbc0", "#f4c677", "#4b937e",
] as const;

export const SLOT_COUNT = LIGHT.length;

const HEX = /^#[0-9a-f]{6}$/i;

/** The colour of a run as #rrggbb. A `color` that is no such text counts as not set. */
export function runColor(run: { slot: number; color: string }, theme: Theme): string {
  if (HEX.test(run.color)) return run.color;
  const palette = theme === "dark" ? DARK : LIGHT;
  return palette[run.slot % SLOT_COUNT] ?? palette[0];
}

/** The colour of a class of boxes as #rrggbb, in both themes one of those for dark pages: it is over a picture. */
export function classColor(slot: number): string {
  return DARK[slot % SLOT_COUNT] ?? DARK[0];
}

/** Black or white, whichever has more contrast with `color`. */
export function inkOn(color: string): string {
  const part = (at: number) => linear(parseInt(color.slice(at, at + 2), 16) / 255);
  return 0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5) > 0.179 ? "#000000" : "#ffffff";
}

function linear(value: number): number {
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}
