/** The rows that a chart is drawn of: of its columns only, and of a long table a part. */
import { getTable, queryTable } from "../../api/tables.js";
import type { Cell, ColumnType, Condition, TableAddress, TableQuery } from "../../api/tables.js";
import { CLASSES_MAX, type ChartSpec, type Role } from "./chartSpec.js";

export const ROWS_MAX = 10_000;
/** Of a cell of the wall, which has many charts. */
export const ROWS_SMALL_MAX = 4000;
/** Of a confusion matrix: all pairs of its classes. */
export const PAIRS_MAX = CLASSES_MAX ** 2;
const PAGE_ROWS = 5000;
const ALL = { filter: [], search: "", sort: [] };

export interface ChartColumn {
  readonly name: string;
  readonly type: ColumnType;
  readonly cells: readonly Cell[];
}

export interface ChartRows {
  readonly columns: Readonly<Partial<Record<Role, ChartColumn>>>;
  /** Rows that were read, and rows of the whole table. */
  readonly read: number;
  readonly total: number;
  /** Which rows were read. */
  readonly part: Part;
}

/** `thinned`: evenly spread over the table. `classes`: all rows of the classes that a matrix draws. */
export type Part = "all" | "first" | "thinned" | "classes";

export async function readChartRows(
  table: TableAddress,
  spec: ChartSpec,
  isSmall: boolean,
  signal: AbortSignal,
): Promise<ChartRows> {
  const roles = Object.keys(spec.columns) as Role[];
  const columns = roles.map((role) => spec.columns[role]!);
  const facts = await getTable(table, { signal });
  const isMatrix = spec.kind === "confusion_matrix";
  const most = isMatrix ? PAIRS_MAX : isSmall ? ROWS_SMALL_MAX : ROWS_MAX;
  const ask = async (query: Partial<TableQuery>, count: number) => {
    const rows: (readonly Cell[])[] = [];
    let matching = count;
    for (let offset = 0; offset < Math.min(count, matching); offset += PAGE_ROWS) {
      const limit = Math.min(PAGE_ROWS, count - offset);
      const page = await queryTable(table, { ...ALL, ...query, columns, offset, limit }, { signal });
      for (const { cells } of page.rows) rows.push(cells);
      matching = page.matching;
    }
    return { rows, isComplete: rows.length >= matching };
  };
  let rows: readonly (readonly Cell[])[] | null = null;
  let part: Part = facts.rows > most ? "first" : "all";
  // Bars have the order of their rows; the first rows are the first bars.
  if (part === "first" && !isMatrix && spec.kind !== "bar") {
    [rows, part] = [(await ask({ thin: most }, most)).rows, "thinned"];
  } else if (part === "first" && isMatrix) {
    const named = [roles.indexOf("actual"), roles.indexOf("predicted")];
    const filter = classesFilter((await ask({}, PAGE_ROWS)).rows, named, columns);
    const found = filter && (await ask({ filter }, most));
    if (found?.isComplete) [rows, part] = [found.rows, "classes"];
  }
  const read = rows ?? (await ask({}, Math.min(most, facts.rows))).rows;
  const found: Partial<Record<Role, ChartColumn>> = {};
  roles.forEach((role, at) => {
    const { name, type } = facts.columns[columns[at]!]!;
    found[role] = { name: name || `column ${columns[at]! + 1}`, type, cells: read.map((cells) => cells[at] ?? null) };
  });
  return { columns: found, read: read.length, total: facts.rows, part };
}

/** The condition for rows of the classes that a matrix draws; null if a class is neither a short text nor a number. */
function classesFilter(
  rows: readonly (readonly Cell[])[],
  named: readonly number[],
  columns: readonly number[],
): Condition[] | null {
  const classes = new Set<Cell>();
  for (const cells of rows) {
    for (const at of named) if (classes.size < CLASSES_MAX) classes.add(cells[at] ?? null);
  }
  const values = [...classes].filter((each) => typeof each === "string" || (typeof each === "number" && Number.isFinite(each)));
  if (values.length < classes.size) return null;
  return named.map((at) => ({ column: columns[at]!, op: "in", values: values as (string | number)[] }));
}
