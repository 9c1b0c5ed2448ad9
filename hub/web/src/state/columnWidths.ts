/** Widths of the table's columns in CSS pixels, where the viewer changed them; kept for this browser. */
import { signal } from "@preact/signals";

const KEY = "stepwell.columns";
const WIDTH_MIN = 56;
const WIDTH_MAX = 900;
/** Older ones are forgotten beyond so many. */
const COUNT_MAX = 500;

export const columnWidths = signal<ReadonlyMap<string, number>>(new Map(read()));

export function setColumnWidth(column: string, pixels: number): void {
  const width = Math.round(Math.min(Math.max(pixels, WIDTH_MIN), WIDTH_MAX));
  const others = [...columnWidths.peek()].filter(([name]) => name !== column);
  columnWidths.value = new Map([...others, [column, width] as const].slice(-COUNT_MAX));
  try {
    localStorage.setItem(KEY, JSON.stringify([...columnWidths.peek()]));
  } catch {
    // Storage is blocked: the widths last as long as the page.
  }
}

function read(): [string, number][] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    if (!Array.isArray(stored)) return [];
    return stored.filter(
      (pair): pair is [string, number] =>
        Array.isArray(pair) && typeof pair[0] === "string" && typeof pair[1] === "number" &&
        pair[1] >= WIDTH_MIN && pair[1] <= WIDTH_MAX,
    );
  } catch {
    return [];
  }
}
