/** Which rows of a logged table its chart is drawn of. */
import { afterEach, describe, expect, it, vi } from "vitest";

import type { Cell, TableQuery } from "../../src/api/tables.js";
import { binsOf, linesOf, matrixOf } from "../../src/pages/datatable/chartData.js";
import { readChartRows, type ChartRows } from "../../src/pages/datatable/chartRows.js";
import { CLASSES_MAX, type ChartKind, type ChartSpec, type Role } from "../../src/pages/datatable/chartSpec.js";

const TABLE = { project: "p", runId: "r", digest: "d" };

afterEach(() => vi.unstubAllGlobals());

/** A hub with one table, that pages, thins, and knows the conditions `in`. */
function serve(rows: readonly (readonly Cell[])[], types: readonly string[]): void {
  const part = (row: number, thin: number) => Math.floor((row * thin) / Math.max(thin, rows.length));
  vi.stubGlobal("fetch", async (_: string, { method, body }: RequestInit) => {
    const json = (value: unknown) => new Response(JSON.stringify(value), { headers: { "content-type": "application/json" } });
    if (method === "GET") return json({ columns: types.map((type, at) => ({ name: `c${at}`, type })), rows: rows.length });
    const query = JSON.parse(String(body)) as TableQuery;
    const fit = rows
      .map((cells, row) => ({ row, cells }))
      .filter(({ row }) => query.thin === undefined || part(row, query.thin) !== part(row - 1, query.thin))
      .filter(({ cells }) => query.filter.every(({ column, values }) => (values as Cell[]).includes(cells[column]!)));
    const page = fit.slice(query.offset, query.offset + query.limit);
    const shown = page.map(({ row, cells }) => ({ row, cells: query.columns!.map((column) => cells[column]) }));
    return json({ matching: fit.length, columns: query.columns, rows: shown });
  });
}

function read(kind: ChartKind, columns: Partial<Record<Role, number>>, isSmall = false): Promise<ChartRows> {
  const spec: ChartSpec = { kind, columns, xTitle: "", yTitle: "", hasDiagonal: false };
  return readChartRows(TABLE, spec, isSmall, new AbortController().signal);
}

/** All pairs of so many classes, with 3 right ones of each. */
function pairs(classes: number): Cell[][] {
  const numbers = Array.from({ length: classes }, (_, at) => at);
  return numbers.flatMap((from) => numbers.map((to) => [`c${from}`, `c${to}`, from === to ? 3 : 0]));
}

describe("a confusion matrix", () => {
  const MATRIX = { actual: 0, predicted: 1, count: 2 };
  const TYPES = ["text", "text", "integer"];

  it.each([true, false])("has all pairs of its classes: small %s", async (isSmall) => {
    serve(pairs(150), TYPES);
    const rows = await read("confusion_matrix", MATRIX, isSmall);
    const { classes, counts } = matrixOf(rows);
    expect([rows.part, classes.length, counts[150 * 150 - 1]]).toEqual(["all", 150, 3]);
    expect(counts.filter((each) => each === 3)).toHaveLength(150);
  });

  it("has all pairs of its first classes, if there are more", async () => {
    serve(pairs(CLASSES_MAX + 30), TYPES);
    const rows = await read("confusion_matrix", MATRIX);
    const { classes, counts, more } = matrixOf(rows);
    expect([rows.part, classes.length, more]).toEqual(["classes", CLASSES_MAX, 0]);
    expect(counts.filter((each) => each === 3)).toHaveLength(CLASSES_MAX);
    expect(counts).not.toContain(null);
  });

  it("has no count for a pair that was not read", async () => {
    const isCut = { text: "a long name", characters: 5000 };
    serve(pairs(CLASSES_MAX + 2).map(([from, to, count]) => [from === "c0" ? isCut : from!, to!, count!]), TYPES);
    const rows = await read("confusion_matrix", MATRIX);
    const { classes, counts } = matrixOf(rows);
    expect([rows.part, classes.length]).toEqual(["first", CLASSES_MAX]);
    expect(counts[classes.length * classes.length - 1]).toBeNull();
    expect(counts).toContain(3);
  });
});

describe("a long table", () => {
  const CURVES = Array.from({ length: 15_300 }, (_, at) => [`class ${Math.floor(at / 1530)}`, at % 1530, at]);
  const TYPES = ["text", "integer", "integer"];

  it.each([[false, 10_000], [true, 4000]])("has points of each line: small %s", async (isSmall, most) => {
    serve(CURVES, TYPES);
    const rows = await read("curve", { series: 0, x: 1, y: 2 }, isSmall);
    const { series } = linesOf(rows);
    expect([rows.part, rows.read, rows.total, series.length]).toEqual(["thinned", most, 15_300, 10]);
    for (const { x } of series) expect(Math.abs(x.length - most / 10)).toBeLessThan(2);
  });

  it("has a histogram of the whole table, and the first bars", async () => {
    serve(CURVES, TYPES);
    const { bins } = binsOf(await read("histogram", { value: 2 }, true));
    expect(bins[bins.length - 1]!.high).toBeGreaterThan(15_000);
    const bars = await read("bar", { label: 0, value: 2 }, true);
    expect([bars.part, bars.columns.value!.cells[3999]]).toEqual(["first", 3999]);
  });
});
