import { describe, expect, it, vi } from "vitest";

import type { TablePage } from "../../src/api/tables.js";
import { BLOCK_ROWS, makeTableRows } from "../../src/pages/datatable/rows.js";
import { formatTables, readTables, tableKey } from "../../src/pages/datatable/address.js";
import { cellText, conditionOf, sortAfterClick } from "../../src/pages/datatable/view.js";

describe("conditionOf", () => {
  it.each([
    ["number", ">= 0.5", { op: "ge", value: 0.5 }],
    ["number", "3", { op: "eq", value: 3 }],
    ["integer", "!= 9007199254740993", { op: "ne", value: "9007199254740993" }],
    ["number", "> x", { op: "gt", value: "x" }],
    ["boolean", "True", { op: "eq", value: true }],
    ["text", "cat", { op: "contains", value: "cat" }],
    ["text", "= 5", { op: "eq", value: "5" }],
    ["text", "!~ dog", { op: "not_contains", value: "dog" }],
    ["mixed", "/^c.t$/", { op: "matches", value: "^c.t$" }],
    ["text", "/", { op: "contains", value: "/" }],
    ["datetime", "<2026-01-31", { op: "lt", value: "2026-01-31" }],
    ["json", "not null", { op: "not_null" }],
    ["text", "~ ^c", { op: "matches", value: "^c" }],
    ["integer", "~ ^7", { op: "matches", value: "^7" }],
    ["number", "NULL", { op: "is_null" }],
  ] as const)("%s: %s", (type, typed, expected) => {
    expect(conditionOf(2, type, typed)).toEqual({ column: 2, ...expected });
  });

  it("is nothing where nothing is typed", () => expect(conditionOf(0, "text", "  ")).toBeNull());
});

describe("views of tables in the address", () => {
  const view = {
    filters: { 2: ">= 0.5", 11: "a,b" },
    search: "cat, dog",
    sort: [{ column: 2, descending: false }, { column: 0, descending: true }],
    hidden: [1, 4],
    from: 400_000,
  };

  it("are read as they were written", () => {
    const views = new Map([[tableKey("guesses", "rank 1"), view], [tableKey("guesses", ""), { ...view, search: "" }]]);
    expect(readTables(formatTables(views))).toEqual(views);
  });

  it("leave out what is as it was logged", () => {
    const plain = { filters: {}, search: "", sort: [], hidden: [], from: 0 };
    expect(formatTables(new Map([[tableKey("t", ""), plain]]))).toEqual([]);
  });

  it("are plain where the address is damaged", () => {
    const parts = ["t", "", "s", "x.-1.--2", "t", "", "r", "-5", "t", "", "fx", "1", "t", "", "c", "a.3", "t", ""];
    expect(readTables(parts).get(tableKey("t", ""))).toEqual({
      filters: {}, search: "", sort: [{ column: 1, descending: true }], hidden: [3], from: 0,
    });
  });
});

describe("sortAfterClick", () => {
  const up = (column: number) => ({ column, descending: false });
  const down = (column: number) => ({ column, descending: true });
  it("goes up, down and away", () => {
    expect(sortAfterClick([], 1, false)).toEqual([up(1)]);
    expect(sortAfterClick([up(1)], 1, false)).toEqual([down(1)]);
    expect(sortAfterClick([down(1)], 1, false)).toEqual([]);
    expect(sortAfterClick([up(1), up(2)], 3, false)).toEqual([up(3)]);
  });
  it("adds beside what is there", () => {
    expect(sortAfterClick([up(1)], 2, true)).toEqual([up(1), up(2)]);
    expect(sortAfterClick([up(1), up(2)], 1, true)).toEqual([down(1), up(2)]);
    expect(sortAfterClick([down(1), up(2)], 1, true)).toEqual([up(2)]);
  });
});

describe("cellText", () => {
  it("says what is there", () => {
    expect(cellText(null, "text")).toBe("");
    expect(cellText({ text: "ab", characters: 5 }, "text")).toBe("ab…");
    expect(cellText({ text: "ab", characters: 2, kind: "text" }, "mixed")).toBe("ab");
    expect(cellText(2n ** 60n, "integer")).toBe("1152921504606846976");
    expect(cellText(false, "boolean")).toBe("false");
  });

  it.each([
    [0, ""], [0.25, ".250"], [0.000_001, ".000001"], [0.120_003, ".120003"],
  ])("shows a moment in UTC, wherever its viewer is, with %s of a second", (fraction, shown) => {
    vi.stubEnv("TZ", "America/New_York");
    expect(new Date(0).getHours()).toBe(19);
    const at = (milliseconds: number) => milliseconds * 1000 + Math.round(fraction * 1e6);
    expect(cellText(at(Date.UTC(2026, 0, 31)), "datetime")).toBe(`2026-01-31 00:00:00${shown}`);
    expect(cellText(at(-1000), "datetime")).toBe(`1969-12-31 23:59:59${shown}`);
    expect(cellText(BigInt(at(Date.UTC(2255, 0, 1))), "datetime")).toBe(`2255-01-01 00:00:00${shown}`);
    expect(cellText(253402300799999999n, "datetime")).toBe("9999-12-31 23:59:59.999999");
    expect(cellText(-62135596800000000n, "datetime")).toBe("0001-01-01 00:00:00");
    vi.unstubAllEnvs();
  });
});

describe("makeTableRows", () => {
  const page = (offset: number, matching = 1000): TablePage => ({
    matching,
    columns: [0],
    rows: Array.from({ length: Math.min(BLOCK_ROWS, matching - offset) }, (_, at) => ({
      row: offset + at,
      cells: [offset + at],
    })),
  });
  const settle = () => new Promise((resolve) => setTimeout(resolve));

  it("asks for the blocks that are seen, once each", async () => {
    const asked: number[] = [];
    const rows = makeTableRows(async ({ offset }) => (asked.push(offset), page(offset)));
    rows.need(0, 50);
    await settle();
    rows.need(390, 420);
    await settle();
    rows.need(0, 50);
    await settle();
    expect(asked).toEqual([0, 200, 400]);
    expect(rows.matching.value).toBe(1000);
    expect(rows.at(419)?.row).toBe(419);
    expect(rows.at(700)).toBeUndefined();
  });

  it("leaves a question that is scrolled past", async () => {
    const left: number[] = [];
    const rows = makeTableRows(({ offset }, signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => (left.push(offset), reject(new DOMException("", "AbortError"))));
        if (offset === 800) resolve(page(offset));
      }),
    );
    rows.need(0, 10);
    rows.need(800, 810);
    await settle();
    expect(left).toEqual([0]);
    expect(rows.at(805)?.row).toBe(805);
    expect(rows.error.value).toBeNull();
  });

  it("keeps what is there after a failure, and asks again when told to", async () => {
    let isBroken = true;
    const rows = makeTableRows(async ({ offset }) => {
      if (isBroken) throw new Error("away");
      return page(offset);
    });
    rows.need(0, 10);
    await settle();
    expect(rows.error.value?.message).toBe("away");
    isBroken = false;
    rows.retry();
    await settle();
    expect(rows.error.value).toBeNull();
    expect(rows.at(3)?.row).toBe(3);
  });
});
