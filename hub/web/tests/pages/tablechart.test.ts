/** Charts of logged tables: what is drawn of the rows, and where. */
import { describe, expect, it } from "vitest";

import type { Cell, ColumnType } from "../../src/api/tables.js";
import { toPixel } from "../../src/engine/scales.js";
import { formatTables, readTables, tableKey } from "../../src/pages/datatable/address.js";
import { barDrawing } from "../../src/pages/datatable/barDrawing.js";
import { BARS_MAX, barsOf, binsOf, linesOf, matrixOf, SERIES_MAX } from "../../src/pages/datatable/chartData.js";
import {
  barsFrame, binRects, dotsPath, frameOf, linePath, matrixFrame, nearestPoint, NUMBERS_MAX, rangesOf, shortened,
} from "../../src/pages/datatable/chartGeometry.js";
import type { ChartRows } from "../../src/pages/datatable/chartRows.js";
import { chartOf, CLASSES_MAX, type Role } from "../../src/pages/datatable/chartSpec.js";
import { matrixDrawing } from "../../src/pages/datatable/matrixDrawing.js";
import { EMPTY_VIEW } from "../../src/pages/datatable/view.js";

function rowsOf(columns: Partial<Record<Role, readonly Cell[]>>, type: ColumnType = "number"): ChartRows {
  const entries = Object.entries(columns).map(([role, cells]) => [role, { name: role, type, cells }]);
  const read = Object.values(columns)[0]!.length;
  return { columns: Object.fromEntries(entries), read, total: read, part: "all" };
}

describe("chartOf", () => {
  it("reads what the script logged", () => {
    const chart = { kind: "curve", x: 1, y: 2, series: 0, x_title: "FPR", diagonal: true };
    expect(chartOf({ chart })).toEqual({
      kind: "curve", columns: { x: 1, y: 2, series: 0 }, xTitle: "FPR", yTitle: "", hasDiagonal: true,
    });
  });
  it.each([
    [{}],
    [{ chart: "line" }],
    [{ chart: { kind: "pie", x: 0 } }],
    [{ chart: { kind: "toString", x: 0 } }],
    [{ chart: { kind: "line", x: 0 } }],
    [{ chart: { kind: "line", x: 0, y: -1 } }],
    [{ chart: { kind: "bar", label: 0, value: 0.5 } }],
  ])("is none for %j", (about) => expect(chartOf(about)).toBeNull());
});

describe("the switch between chart and table", () => {
  it("is in the address", () => {
    const views = new Map([[tableKey("roc", ""), { ...EMPTY_VIEW, asTable: true }]]);
    expect(formatTables(views)).toEqual(["roc", "", "t", "1"]);
    expect(readTables(["roc", "", "t", "1"])).toEqual(views);
    expect(readTables(["roc", "", "t", "x"]).get(tableKey("roc", ""))).toEqual(EMPTY_VIEW);
  });
});

describe("linesOf", () => {
  it("keeps the order of rows, and leaves out rows without a number", () => {
    const mixed = { text: "4", characters: 1, kind: "integer" };
    const found = linesOf(rowsOf({ x: [2, 1, NaN, 3, 5], y: [1n, mixed, 1, "text", null], series: ["a", "b", "a", "a", "c"] }));
    expect(found).toEqual({ series: [{ name: "a", x: [2], y: [1] }, { name: "b", x: [1], y: [4] }], more: 0, left: 3 });
  });
  it("is one line without a column of names, and has moments in microseconds", () => {
    expect(linesOf(rowsOf({ x: [1, 2], y: [3, 4] }, "datetime")).series).toEqual([{ name: "y", x: [1, 2], y: [3, 4] }]);
  });
  it("has a limit of lines", () => {
    const count = SERIES_MAX + 7;
    const numbers = Array.from({ length: count }, (_, at) => at);
    const found = linesOf(rowsOf({ x: numbers, y: numbers, series: numbers }));
    expect([found.series.length, found.more, found.left]).toEqual([SERIES_MAX, 7, 0]);
  });
});

describe("barsOf", () => {
  it("has a bar for each row with a number", () => {
    const found = barsOf(rowsOf({ label: ["a", null, "c"], value: [1, -2, Infinity] }));
    expect(found).toEqual({ bars: [{ label: "a", value: 1 }, { label: "no value", value: -2 }], more: 0, left: 1 });
    const many = Array.from({ length: BARS_MAX + 2 }, () => 1);
    expect(barsOf(rowsOf({ label: many, value: many })).more).toBe(2);
  });
});

describe("binsOf", () => {
  it.each([
    [[0, 0.1, 0.2, 0.9, 1]],
    [[1, 2, 2, 3, 3, 3]],
    [[-5, 5]],
    [[7]],
    [[0, 0]],
    [[1e300, -1e300, 1.5e308, -1.5e308]],
    [[1, 1 + 1e-16]],
    [[1e15, 1e15 + 1]],
    [[1e-320, 0]],
    [Array.from({ length: 5000 }, (_, at) => Math.sin(at))],
  ])("has each value in one bin: case %#", (values) => {
    const { bins, left } = binsOf(rowsOf({ value: values }));
    expect(left).toBe(0);
    expect(bins.length).toBeGreaterThan(0);
    expect(bins.length).toBeLessThan(60);
    expect(bins.reduce((sum, { count }) => sum + count, 0)).toBe(values.length);
    bins.forEach(({ low, high, count }) => {
      const last = high === bins[bins.length - 1]!.high;
      if (bins.length > 1 && Math.max(...values) < 1e14)
        expect(values.filter((each) => each >= low && (each < high || (last && each === high))).length).toBe(count);
    });
  });
  it("has a bin for each whole number, if they are few", () => {
    expect(binsOf(rowsOf({ value: [1, 2, 2, 4, null] }))).toEqual({
      bins: [{ low: 1, high: 2, count: 1 }, { low: 2, high: 3, count: 2 }, { low: 3, high: 4, count: 0 }, { low: 4, high: 5, count: 1 }],
      left: 1,
    });
  });
  it("has none without a number", () => expect(binsOf(rowsOf({ value: ["x"] }))).toEqual({ bins: [], left: 1 }));
});

describe("matrixOf", () => {
  it("counts pairs, by class in the order of the rows", () => {
    const found = matrixOf(rowsOf({ actual: ["b", "b", "a", "a", "b"], predicted: ["b", "a", "a", "a", "b"], count: [3, 1, 4, 2, null] }));
    expect(found).toEqual({ classes: ["b", "a"], counts: [3, 1, 0, 6], more: 0, left: 1 });
  });
  it("has a limit of classes", () => {
    const names = Array.from({ length: CLASSES_MAX + 50 }, (_, at) => `class ${at}`);
    const { classes, counts, more } = matrixOf(rowsOf({ actual: names, predicted: names, count: names.map(() => 1) }));
    expect([classes.length, more]).toEqual([CLASSES_MAX, 50]);
    expect(counts.filter((each) => each === 1)).toHaveLength(CLASSES_MAX);
  });
});

describe("matrixDrawing", () => {
  const size = { width: 400, height: 300, isSmall: false, card: "#ffffff", ramp: ["#ddddff", "#0000ff"] };
  it("says of each pair how often it was, and of one that was not read that it was not", () => {
    const { marks } = matrixDrawing({ classes: ["a", "b"], counts: [3, 1, 2, null], more: 0, left: 0 }, size);
    expect(marks.at(0).words).toEqual(["Actual a", "Predicted a", "3, 75 % of actual a"]);
    expect(marks.at(2).words).toEqual(["Actual b", "Predicted a", "2"]);
    expect(marks.at(3).words).toEqual(["Actual b", "Predicted b", "not read"]);
  });
  it.each([["End", 3], ["Home", 0], ["ArrowRight", 0], ["ArrowDown", 0], ["ArrowLeft", 3], ["ArrowUp", 3]])(
    "goes at the first press of %s to cell %i, as bars do",
    (key, cell) => {
      const { marks } = matrixDrawing({ classes: ["a", "b"], counts: [3, 1, 2, 4], more: 0, left: 0 }, size);
      const bars = barDrawing(Array(4).fill({ label: "a", value: 1 }), { ...size, xTitle: "", yTitle: "", unit: "number" });
      expect([marks.move(null, key), bars.marks.move(null, key)]).toEqual([cell, cell]);
    },
  );
});

describe("the geometry", () => {
  const line = { name: "a", x: [0, 5, 10], y: [0, 1, 0.5] };
  const size = { width: 400, height: 300, isSmall: false };

  it("has the whole of the data within the axes", () => {
    const frame = frameOf({ ...size, ...rangesOf([line], false) });
    const { box, axes } = frame;
    for (const at of [0, 1, 2]) {
      const [x, y] = [toPixel(axes.x, line.x[at]!), toPixel(axes.y, line.y[at]!)];
      expect(x).toBeGreaterThan(box.left);
      expect(x).toBeLessThan(box.right);
      expect(y).toBeGreaterThan(box.top);
      expect(y).toBeLessThan(box.bottom);
    }
    expect(axes.xTicks.length).toBeGreaterThan(1);
    expect(linePath(line, axes)).toMatch(/^M[\d.]+ [\d.]+(L[\d.]+ [\d.]+){2}$/);
    expect(dotsPath(line, axes).match(/h0/g)).toHaveLength(3);
    expect(linePath({ name: "b", x: [1], y: [1] }, axes)).toBe("");
  });

  it("has curves of rates from 0 to 1", () => {
    const { x, y } = rangesOf([{ name: "a", x: [0.2, 0.3], y: [0.9, 0.8] }], true);
    expect([x[0], x[1], y[0], y[1]].map((each) => Math.round(each))).toEqual([-0, 1, -0, 1]);
    expect(rangesOf([{ name: "a", x: [2, 3], y: [0.9, 0.8] }], true).x[0]).toBeGreaterThan(1);
  });

  it("finds the nearest point", () => {
    const { axes } = frameOf({ ...size, ...rangesOf([line], false) });
    const others = { name: "b", x: [5], y: [0.2] };
    expect(nearestPoint([line, others], axes, toPixel(axes.x, 5.2), toPixel(axes.y, 0.3))).toEqual({ series: 1, at: 0 });
    expect(nearestPoint([line, others], axes, 1000, toPixel(axes.y, 0.5))).toEqual({ series: 0, at: 2 });
    expect(nearestPoint([], axes, 0, 0)).toBeNull();
  });

  it("has bins side by side, on the axis", () => {
    const bins = [{ low: 0, high: 1, count: 2 }, { low: 1, high: 2, count: 0 }];
    const frame = frameOf({ ...size, x: [0, 2], y: [0, 2] });
    const [first, second] = binRects(bins, frame);
    expect(first!.x + first!.width).toBeLessThan(second!.x);
    expect([first!.y + first!.height, second!.height]).toEqual([frame.box.bottom, 0]);
  });

  it("has bars below each other, on both sides of zero", () => {
    for (let letters = 1; letters < 20; letters++) {
      expect(barsFrame(["x".repeat(letters)], [1], size).letters).toBe(letters);
    }
    const { height, frame, rowHeight } = barsFrame(["a", "a long name of a bar"], [3, -1], size);
    expect(height).toBeGreaterThan(2 * rowHeight);
    expect(toPixel(frame.axes.x, 0)).toBeGreaterThan(frame.box.left);
    expect(toPixel(frame.axes.x, 3)).toBeCloseTo(frame.box.right);
    expect(barsFrame(Array(100).fill("a"), Array(100).fill(1), { ...size, isSmall: true }).height).toBeLessThanOrEqual(300);
  });

  it("has cells with room for their numbers, and many classes without numbers", () => {
    const few = matrixFrame(["cat", "dog"], 3, size);
    expect([few.hasNumbers, few.width <= 400, few.cellWidth]).toEqual([true, true, 72]);
    const names = Array.from({ length: NUMBERS_MAX }, (_, at) => `class ${at}`);
    const many = matrixFrame(names, 4, size);
    expect([many.hasNumbers, many.cellWidth > 4 * 6, many.width > 400]).toEqual([true, true, true]);
    const more = matrixFrame([...names, "one more"], 4, size);
    expect([more.hasNumbers, more.width <= 400]).toEqual([false, true]);
    const small = matrixFrame(names, 4, { ...size, isSmall: true });
    expect(small.top + small.cellHeight * NUMBERS_MAX).toBeLessThanOrEqual(300);
  });

  it("shortens texts by whole characters", () => {
    expect(shortened("horse", 5)).toBe("horse");
    expect(shortened("horses", 5)).toBe("hors…");
    expect(shortened("🐎🐎🐎", 2)).toBe("🐎…");
  });
});
