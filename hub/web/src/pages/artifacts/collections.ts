/** The order of a project's artifacts. Pure. */
import type { Collection } from "../../api/artifacts.js";

export type ColumnKey = "name" | "type" | "versions" | "size" | "updated_at";
/** A column with "-" before it for the descending order. */
export type CollectionSort = string;

export const NEWEST_FIRST: CollectionSort = "-updated_at";
const TEXTS: ReadonlySet<string> = new Set(["name", "type"]);
const COLUMNS: readonly ColumnKey[] = ["name", "type", "versions", "size", "updated_at"];

/** The sort after a click on a column: texts start upwards, amounts and moments downwards. */
export function sortAfter(sort: CollectionSort, column: ColumnKey): CollectionSort {
  if (sort === column) return `-${column}`;
  if (sort === `-${column}`) return column;
  return TEXTS.has(column) ? column : `-${column}`;
}

/** In the order of `sort`, then by name. An unknown sort is the newest first. */
export function sortCollections(collections: readonly Collection[], sort: CollectionSort): Collection[] {
  const asked = COLUMNS.find((each) => each === sort.replace(/^-/, ""));
  const column = asked ?? "updated_at";
  const sign = asked === undefined || sort.startsWith("-") ? -1 : 1;
  return [...collections].sort((a, b) => sign * compare(a[column], b[column]) || compare(a.name, b.name));
}

function compare(a: string | number, b: string | number): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}
