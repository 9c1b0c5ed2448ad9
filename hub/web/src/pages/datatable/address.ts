/**
 * The views of tables in the address: a list of metric, label, part, value, metric, … Pure.
 *
 * Parts: `q` what is searched, `s` the sort (`2.-0`: by the third column, then down by the first),
 * `c` the hidden columns (`1.4`), `r` the first row of the list's part, `f3` what is typed as
 * condition of the fourth column, `t` (always 1) that the rows are shown, not their chart. What
 * cannot be read is left out.
 */
import type { Order } from "../../api/tables.js";
import { EMPTY_VIEW, type TableView } from "./view.js";

export type TableViews = ReadonlyMap<string, TableView>;

const PLACE = /^\d{1,5}$/;
const ROW = /^\d{1,12}$/;

/** The key of a table among the views. */
export function tableKey(metric: string, label: string): string {
  return JSON.stringify([metric, label]);
}

export function readTables(parts: readonly string[]): Map<string, TableView> {
  const found = new Map<string, TableView>();
  for (let at = 0; at + 3 < parts.length; at += 4) {
    const [metric, label, part, value] = parts.slice(at, at + 4) as [string, string, string, string];
    const key = tableKey(metric, label);
    found.set(key, withPart(found.get(key) ?? EMPTY_VIEW, part, value));
  }
  return found;
}

export function formatTables(views: TableViews): string[] {
  return [...views].flatMap(([key, view]) => {
    const [metric, label] = JSON.parse(key) as [string, string];
    return partsOf(view).flatMap(([part, value]) => [metric, label, part, value]);
  });
}

function withPart(view: TableView, part: string, value: string): TableView {
  if (part === "q") return { ...view, search: value };
  if (part === "s") return { ...view, sort: value.split(".").flatMap((each) => readOrder(each) ?? []) };
  if (part === "c") return { ...view, hidden: value.split(".").filter((each) => PLACE.test(each)).map(Number) };
  if (part === "t") return value === "1" ? { ...view, asTable: true } : view;
  if (part === "r") return ROW.test(value) ? { ...view, from: Number(value) } : view;
  const place = part.slice(1);
  if (!part.startsWith("f") || !PLACE.test(place)) return view;
  return { ...view, filters: { ...view.filters, [Number(place)]: value } };
}

function readOrder(text: string): Order | null {
  const descending = text.startsWith("-");
  const place = descending ? text.slice(1) : text;
  return PLACE.test(place) ? { column: Number(place), descending } : null;
}

function partsOf({ search, sort, hidden, from, filters, asTable }: TableView): [string, string][] {
  const parts: [string, string][] = [];
  if (search !== "") parts.push(["q", search]);
  if (sort.length > 0)
    parts.push(["s", sort.map(({ column, descending }) => `${descending ? "-" : ""}${column}`).join(".")]);
  if (hidden.length > 0) parts.push(["c", hidden.join(".")]);
  if (from > 0) parts.push(["r", String(from)]);
  if (asTable) parts.push(["t", "1"]);
  for (const [place, typed] of Object.entries(filters)) parts.push([`f${place}`, typed]);
  return parts;
}
