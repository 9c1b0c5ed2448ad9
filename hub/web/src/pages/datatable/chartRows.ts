/** The rows that a chart is drawn of: of its columns only, and at most the first `most`. */
import { getTable, queryTable } from "../../api/tables.js";
import type { Cell, ColumnType, TableAddress } from "../../api/tables.js";
import type { ChartSpec, Role } from "./chartSpec.js";

export const ROWS_MAX = 10_000;
/** Of a cell of the wall, which has many charts. */
export const ROWS_SMALL_MAX = 4000;
/** Most that the hub answers at once. */
const PAGE_ROWS = 1000;
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
}

export async function readChartRows(
  table: TableAddress,
  spec: ChartSpec,
  most: number,
  signal: AbortSignal,
): Promise<ChartRows> {
  const roles = Object.keys(spec.columns) as Role[];
  const columns = roles.map((role) => spec.columns[role]!);
  const facts = await getTable(table, { signal });
  const count = Math.min(most, facts.rows);
  const read: (readonly Cell[])[] = [];
  for (let offset = 0; offset < count; offset += PAGE_ROWS) {
    const query = { ...ALL, columns, offset, limit: Math.min(PAGE_ROWS, count - offset) };
    const page = await queryTable(table, query, { signal });
    for (const { cells } of page.rows) read.push(cells);
  }
  const found: Partial<Record<Role, ChartColumn>> = {};
  roles.forEach((role, at) => {
    const { name, type } = facts.columns[columns[at]!]!;
    found[role] = { name: name || `column ${columns[at]! + 1}`, type, cells: read.map((cells) => cells[at] ?? null) };
  });
  return { columns: found, read: read.length, total: facts.rows };
}
