/**
 * Light or dark: what the viewer chose here, else what the system says.
 *
 * `data-theme` on the root element carries it; theme-first.js sets it before the first paint.
 */
import { computed, effect, signal } from "@preact/signals";

export type Theme = "light" | "dark";

const KEY = "stepwell.theme";
const system = matchMedia("(prefers-color-scheme: dark)");

const systemIsDark = signal(system.matches);
const chosen = signal<Theme | null>(read());

export const theme = computed<Theme>(
  () => chosen.value ?? (systemIsDark.value ? "dark" : "light"),
);

export function toggleTheme(): void {
  chosen.value = theme.value === "dark" ? "light" : "dark";
  try {
    localStorage.setItem(KEY, chosen.value);
  } catch {
    // Storage is blocked: the choice lasts as long as the page.
  }
}

/** Keep `data-theme`, the system's theme and other tabs' choices in step with `theme`. */
export function followTheme(): void {
  system.addEventListener("change", (event) => {
    systemIsDark.value = event.matches;
  });
  addEventListener("storage", (event) => {
    if (event.key === KEY) chosen.value = read();
  });
  effect(() => {
    document.documentElement.dataset["theme"] = theme.value;
  });
}

function read(): Theme | null {
  try {
    const stored = localStorage.getItem(KEY);
    return stored === "light" || stored === "dark" ? stored : null;
  } catch {
    return null;
  }
}
