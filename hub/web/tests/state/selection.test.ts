/** Which runs are drawn, and how the query string says it. */
import { expect, test } from "vitest";

import { formatSelection, parseSelection, selectIds, toggleRun } from "../../src/state/selection.js";

const rows = Array.from({ length: 15 }, (_, at) => ({
  run_id: `r${at}`,
  state: at === 2 || at === 13 ? "running" : "finished",
}));
const ids = (tokens: string[]) => [...selectIds(rows, parseSelection(tokens))].sort();

test("by default ten runs are drawn, those that run among them", () => {
  expect(ids([])).toHaveLength(10);
  expect(ids([])).toContain("r13");
  expect(ids([])).not.toContain("r9");
});

test("each mode draws what its name says", () => {
  expect(ids(["top"])).toEqual(rows.slice(0, 10).map((row) => row.run_id).sort());
  expect(ids(["running"])).toEqual(["r13", "r2"]);
  expect(ids(["all"])).toHaveLength(15);
  expect(ids(["none"])).toEqual([]);
  expect(ids(["all", "-r3", "far"])).toHaveLength(15);
});

test("ids alone draw these, loaded or not", () => {
  expect(ids(["r1", "far"])).toEqual(["far", "r1"]);
});

test.each([[[]], [["all"]], [["all", "-r1"]], [["r1", "r2"]], [["none"]], [["none", "all", "r1"]], [["none", "-r1"]]])(
  "%j is the same after parsing",
  (tokens) => expect(formatSelection(parseSelection(tokens))).toEqual(tokens),
);

test.each(["auto", "top", "running", "all", "none"])("two toggles in mode %s change nothing that is drawn", (mode) => {
  for (const { run_id } of [...rows, { run_id: "far" }]) {
    const before = parseSelection(mode === "auto" ? [] : [mode]);
    const once = toggleRun(rows, before, run_id);
    expect(selectIds(rows, once).has(run_id)).toBe(!selectIds(rows, before).has(run_id));
    const twice = toggleRun(rows, parseSelection(formatSelection(once)), run_id);
    expect([...selectIds(rows, twice)].sort()).toEqual([...selectIds(rows, before)].sort());
  }
});
