/** What a column shows of a run. */
import { expect, it } from "vitest";

import type { RunOverview } from "../../src/api/types.js";
import type { Value } from "../../src/api/values.js";
import { columnText, columnValue, isNumberColumn } from "../../src/parts/columnValues.js";
import cases from "./formats.json";

function run(columns: Record<string, Value>): RunOverview {
  return { columns } as unknown as RunOverview;
}

it("a summary of one statistic is shown as its number", () => {
  const one = run({ "summary.val/loss": { min: 0.25 } });
  expect(columnValue(one, "summary.val/loss", 0)).toBe(0.25);
  expect(columnText(one, "summary.val/loss", 0)).toBe("0.25");
  expect(isNumberColumn(one, "summary.val/loss")).toBe(true);
  expect(columnText(run({ "val/loss": { min: 0.25 } }), "val/loss", 0)).toBe("0.25");
});

it("a summary of several statistics, and any config, is shown whole", () => {
  const several = run({ "summary.a": { min: 1, max: 2 }, "config.b": { c: 1 }, "summary.d": { e: "f" }, "config.e": { min: 1 }, f: { lr: 1 } });
  expect(columnText(several, "summary.a", 0)).toBe("min 1, max 2");
  expect(columnValue(several, "config.b", 0)).toEqual({ c: 1 });
  expect(columnValue(several, "summary.d", 0)).toEqual({ e: "f" });
  expect(columnValue(several, "config.e", 0)).toEqual({ min: 1 });
  expect(columnValue(several, "f", 0)).toEqual({ lr: 1 });
  expect(columnValue(several, "summary.none", 0)).toBeUndefined();
});

it.each(cases.columns as unknown as [string, Value, string][])("%s with %j is %s", (column, value, text) => {
  expect(columnText(run({ [column]: value }), column, 0)).toBe(text);
});
