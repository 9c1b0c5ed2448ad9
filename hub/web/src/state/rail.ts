/** Whether the runs rail is open, and how wide it is. Both are kept for this browser. */
import { effect, signal } from "@preact/signals";

export const RAIL_WIDTH_MIN = 240;
export const RAIL_WIDTH_MAX = 560;
const WIDTH_DEFAULT = 320;
const KEY = "stepwell.rail";
/** Below this the rail lies above the charts and starts closed. */
const NARROW = "(max-width: 640px)";

interface Kept {
  width: number;
  isOpen: boolean;
}

const kept = read();
export const railWidth = signal(kept?.width ?? WIDTH_DEFAULT);
export const isRailOpen = signal(matchMedia(NARROW).matches ? false : (kept?.isOpen ?? true));

export function setRailWidth(pixels: number): void {
  railWidth.value = Math.round(Math.min(Math.max(pixels, RAIL_WIDTH_MIN), RAIL_WIDTH_MAX));
  keep();
}

export function toggleRail(): void {
  isRailOpen.value = !isRailOpen.peek();
  if (!matchMedia(NARROW).matches) keep();
}

/** The width as --rail on the root, for the page's grid. */
export function followRail(): () => void {
  return effect(() => {
    document.documentElement.style.setProperty("--rail", `${railWidth.value}px`);
  });
}

function keep(): void {
  try {
    localStorage.setItem(KEY, JSON.stringify({ width: railWidth.peek(), isOpen: isRailOpen.peek() }));
  } catch {
    // Storage is blocked: the choice lasts as long as the page.
  }
}

function read(): Kept | null {
  try {
    const stored = JSON.parse(localStorage.getItem(KEY) ?? "null") as Partial<Kept> | null;
    if (typeof stored?.width !== "number" || typeof stored.isOpen !== "boolean") return null;
    const width = Math.min(Math.max(stored.width, RAIL_WIDTH_MIN), RAIL_WIDTH_MAX);
    return { width, isOpen: stored.isOpen };
  } catch {
    return null;
  }
}
