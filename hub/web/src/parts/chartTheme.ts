/** The colours and the font that charts draw with, read from the design's values. */
import type { ChartTheme } from "../engine/theme.js";
import type { Theme } from "../state/theme.js";

const known = new Map<Theme, ChartTheme>();

export function chartTheme(theme: Theme): ChartTheme {
  let found = known.get(theme);
  if (found === undefined) known.set(theme, (found = readTheme()));
  return found;
}

function readTheme(): ChartTheme {
  const style = getComputedStyle(document.documentElement);
  const value = (name: string) => style.getPropertyValue(name).trim();
  return {
    ink3: value("--ink3"),
    grid: value("--line"),
    card: value("--card"),
    accent: value("--accent"),
    ramp: [value("--density-low"), value("--accent"), value("--ink")],
    font: value("--sans"),
  };
}
