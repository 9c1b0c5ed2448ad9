/** Charts: sections of panels, the view in the query string, tables of values. */
import { describe, expect, it } from "vitest";

import type { RunOverview } from "../../src/api/types.js";
import { decodeJson, type Value } from "../../src/api/values.js";
import { groupRuns } from "../../src/pages/charts/groups.js";
import {
  honesty,
  lineEnd,
  lineOwners,
  nonFiniteText,
  noPositiveText,
  notPositiveText,
  notPositiveXText,
  panelSeries,
  withoutXText,
} from "../../src/pages/charts/panelSeries.js";
import {
  columnsFor,
  foldKey,
  metricsWithin,
  placeSections,
  sectionsOf,
} from "../../src/pages/charts/sections.js";
import {
  askedWindow,
  axesOf,
  bucketsFor,
  CHARTS_FIELDS,
  valuesOver,
  xFor,
  zoomChange,
  zoomValue,
} from "../../src/pages/charts/view.js";
import { tableNote, tableRows } from "../../src/parts/ChartTable.js";
import { readQuery, writeQuery } from "../../src/state/query.js";
import { random } from "../engine/encode.js";
import { bucketed, steps } from "../engine/series.js";
import groupCases from "./groups.json";

const GRID = { columns: 3, panelHeight: 200, gap: 10, headHeight: 30 };

describe("sections", () => {
  it("are prefixes, training first, numbers in their order", () => {
    const sections = sectionsOf([
      "layers.10/g",
      "val/loss",
      "layers.9/g",
      "lr",
      "train/b",
      "train/a",
      "/odd",
    ]);
    expect(sections.map(({ name }) => name)).toEqual(["", "train", "val", "layers.9", "layers.10"]);
    expect(sections[1]!.metrics).toEqual(["train/a", "train/b"]);
    expect(sections[0]!.metrics).toContain("/odd");
  });

  it("show exactly the panels that touch the window, wherever it is", () => {
    const next = random(9);
    const names = Array.from(
      { length: 400 },
      (_, i) => `${"abcdefgh"[Math.floor(next() * 8)]}/m${i}`,
    );
    const sections = sectionsOf(names);
    const { placed, height } = placeSections(sections, new Set(["c"]), GRID);
    for (let round = 0; round < 200; round++) {
      const top = next() * height;
      const bottom = top + 900;
      for (const place of placed) {
        const [from, to] = metricsWithin(place, GRID, top, bottom);
        place.section.metrics.forEach((_, at) => {
          const y = place.top + GRID.headHeight + Math.floor(at / GRID.columns) * 210;
          const touches = !place.isFolded && y + 200 > top && y < bottom;
          if (touches) expect(at >= from && at < to).toBe(true);
        });
        expect(to - from).toBeLessThanOrEqual(GRID.columns * 6);
      }
    }
  });

  it("can all be folded, also the one without a name, by what the address says", () => {
    const sections = sectionsOf(["lr", "train/a"]);
    const { fold } = readQuery(
      CHARTS_FIELDS,
      writeQuery(
        CHARTS_FIELDS,
        { ...readQuery(CHARTS_FIELDS, ""), fold: sections.map(({ name }) => foldKey(name)) },
        "",
      ),
    );
    const { placed, height } = placeSections(sections, new Set(fold), GRID);
    expect(placed.every(({ isFolded }) => isFolded)).toBe(true);
    expect(height).toBe(60);
  });

  it("have columns by width, or as chosen", () => {
    expect([300, 620, 1010, 2600].map((width) => columnsFor(width, 0, 10))).toEqual([1, 2, 3, 4]);
    expect(columnsFor(300, 5, 10)).toBe(5);
    expect(columnsFor(300, 99, 10)).toBe(6);
  });
});

describe("the view", () => {
  it("survives the address", () => {
    const values = readQuery(
      CHARTS_FIELDS,
      "?m=^val/|grad&x=time&y=log&sm=200&z=10..50&full=val/loss&g=config.lr&w=2&b=off&lx=1",
    );
    expect(values).toMatchObject({
      m: "^val/|grad",
      x: "time",
      y: "log",
      sm: 200,
      z: [10, 50],
      b: "off",
      lx: true,
    });
    expect(readQuery(CHARTS_FIELDS, writeQuery(CHARTS_FIELDS, values, ""))).toEqual(values);
    expect(writeQuery(CHARTS_FIELDS, readQuery(CHARTS_FIELDS, ""), "")).toBe("");
  });

  it("has its zoom in seconds on axes of time, in steps else", () => {
    const time = axesOf({ x: "relative", y: "lin", lx: false, z: [10, 50] });
    expect(time.zoom).toEqual([10e6, 50e6]);
    expect(zoomValue([10e6, 50.123456e6], "relative")).toEqual([10, 50.123]);
    expect(zoomValue([1234.567, 98765.4], "number")).toEqual([1235, 98765]);
    expect(zoomValue([1, 1], "number")).toBeNull();
  });

  it("draws a metric over its step metric until a person chooses x", () => {
    const automatic = readQuery(CHARTS_FIELDS, "");
    expect(xFor(automatic, undefined)).toBe("step");
    expect(xFor(automatic, "epoch")).toBe("metric:epoch");
    expect(["_step", "_timestamp", "_runtime"].map((name) => xFor(automatic, name))).toEqual([
      "step",
      "time",
      "relative",
    ]);
    for (const x of ["step", "time", "relative", "metric:loss"])
      expect(xFor(readQuery(CHARTS_FIELDS, `?x=${x}`), "epoch")).toBe(x);
    expect(xFor({ x: "nonsense" }, "epoch")).toBe("step");
  });

  it("zooms the panels of one x, which survives the address", () => {
    const name = "metric:a,b@c\\";
    const zooms = [
      ["step", [10, 50]],
      [name, [1, 4]],
      ["relative", [2, 3]],
      [name, [1.5, 3]],
    ] as const;
    let values = readQuery(CHARTS_FIELDS, "");
    for (const [x, z] of zooms) {
      const changed = { ...values, ...zoomChange(values, x, z) };
      values = readQuery(CHARTS_FIELDS, writeQuery(CHARTS_FIELDS, changed, ""));
    }
    const zoomOver = (x: string) => valuesOver(values, x).z;
    expect([zoomOver("step"), zoomOver(name), zoomOver("relative")]).toEqual([
      [10, 50],
      [1.5, 3],
      [2, 3],
    ]);
    expect(axesOf(valuesOver(values, "relative")).zoom).toEqual([2e6, 3e6]);
    expect(zoomOver("metric:other")).toBeNull();
    values = { ...values, ...zoomChange(values, name, null) };
    expect([zoomOver("step"), zoomOver(name), zoomOver("relative")]).toEqual([[10, 50], null, [2, 3]]);
  });

  it("has one zoom where a person chose x, and none from a damaged address", () => {
    const chosen = readQuery(CHARTS_FIELDS, "?x=metric:epoch&z=1..4&zx=2..3@metric:epoch");
    expect(valuesOver(chosen, "metric:epoch").z).toEqual([1, 4]);
    expect(zoomChange(chosen, "metric:epoch", [2, 3])).toEqual({ z: [2, 3] });
    const damaged = readQuery(CHARTS_FIELDS, "?zx=2..3,nonsense@metric:epoch");
    expect(valuesOver(damaged, "metric:epoch").z).toBeNull();
  });

  it("of a damaged address is the plain one", () => {
    expect(axesOf({ x: "metric:", y: "lin", lx: true, z: [5, 1] })).toMatchObject({
      x: "step",
      zoom: null,
      xScale: "log",
    });
    expect(axesOf({ x: "time", y: "symlog", lx: true, z: null })).toMatchObject({
      xScale: "linear",
      yScale: "symlog",
    });
  });

  it("asks for a window that holds the zoom, in whole steps", () => {
    const [first, last] = askedWindow([1000.5, 2000.5], "number", "step");
    expect(first).toBeLessThanOrEqual(1000 - 50);
    expect(last).toBeGreaterThanOrEqual(2001 + 50);
    expect([first, last].every(Number.isInteger)).toBe(true);
    expect(askedWindow([0, 10], "number", "step")[0]).toBe(0);
    expect(askedWindow(null, "number", "step")).toEqual([null, null]);
  });

  it("asks for fewer buckets of many runs", () => {
    expect([
      bucketsFor(300, 10),
      bucketsFor(300, 150),
      bucketsFor(2000, 1000),
      bucketsFor(9999, 1),
    ]).toEqual([384, 256, 128, 2048]);
  });
});

const run = (id: string, more: Partial<RunOverview> = {}) =>
  ({ run_id: id, name: "", slot: 0, color: "", group: "", started_at: 0, ...more }) as RunOverview;

describe("lines of a panel", () => {
  const held = new Map([["a", [bucketed(steps([1, 2, 3, 4]), 1, "a")]]]);

  it("carry names and colours of their runs", () => {
    const owners = lineOwners(
      [run("a", { name: "amber", color: "#123456" }), run("b", { slot: 1 })],
      null,
      "light",
    );
    const lines = panelSeries(owners, held, null);
    expect(lines.map(({ name, color, runId }) => [name, color, runId])).toEqual([
      ["amber", "#123456", "a"],
    ]);
    expect(lines[0]!.before).toBeNull();
  });

  it("are the whole series until the zoomed ones are here, which then only warms up", () => {
    const owners = lineOwners([run("a")], null, "dark");
    expect(panelSeries(owners, new Map(), held)[0]!.data).toBe(held.get("a")![0]);
    const fine = new Map([["a", [bucketed(steps([2, 3]), 0, "a")]]]);
    expect(panelSeries(owners, fine, held)[0]).toMatchObject({
      data: fine.get("a")![0],
      before: held.get("a")![0],
    });
  });

  it("are what was drawn before while nothing newer is here, without warming anything up", () => {
    const owners = lineOwners([run("a"), run("b")], null, "light");
    const newer = new Map([["b", [bucketed(steps([7]), 0, "b")]]]);
    const lines = panelSeries(owners, newer, null, held);
    expect(lines.map(({ data, before }) => [data, before])).toEqual([
      [held.get("a")![0], null],
      [newer.get("b")![0], null],
    ]);
  });

  it("say what is behind them", () => {
    const lines = panelSeries(lineOwners([run("a")], null, "light"), held, null);
    expect(honesty(lines, { bands: true, technique: "stroke", smoothing: 0 })).toBe(
      "4 points · 2 buckets · mean, min–max",
    );
    const one = new Map([["a", [bucketed(steps([1, 2, 3]), 2, "a")]]]);
    const whole = panelSeries(lineOwners([run("a")], null, "light"), one, null);
    expect(honesty(whole, { bands: true, technique: "stroke", smoothing: 0 })).toBe(
      "3 points · 1 bucket · mean, min–max",
    );
    expect(honesty([], { bands: true, technique: "stroke", smoothing: 0 })).toBe("");
    const single = new Map([["a", [bucketed(steps([1, Number.NaN, 3]), 0, "a")]]]);
    const points = panelSeries(lineOwners([run("a")], null, "light"), single, null);
    expect(honesty(points, { bands: true, technique: "stroke", smoothing: 5 })).toBe(
      "3 points · smoothed",
    );
    expect(nonFiniteText(points, "number", "step")).toBe("1 NaN from step 1");
    expect(nonFiniteText(lines, "number", "step")).toBe("");
  });

  it("name the first value that is not finite, or about where its bucket has it", () => {
    const values = Array.from({ length: 100 }, (_, step) => (step < 50 ? 1 : Number.NaN));
    const text = (level: number, zoom: [number, number] | null = null) => {
      const one = new Map([["a", [bucketed(steps(values), level, "a")]]]);
      return nonFiniteText(panelSeries(lineOwners([run("a")], null, "light"), one, null), "number", "step", zoom);
    };
    expect(text(0)).toBe("50 NaN from step 50");
    expect(text(3)).toBe("50 NaN from about step 48");
    expect(text(1)).toBe("50 NaN from step 50");
    expect(text(3, [60, 100])).toBe("44 NaN from step 56");
  });

  it("of groups count the NaN of a run too, at the start of its bucket", () => {
    const text = (level: number) => {
      const band = { ...bucketed(steps([1, 1, 1, Number.NaN, Number.NaN]), level, "a") };
      const middles = band.bucket.map((at) => (at + 0.5) * band.width);
      const x = level === 0 ? band.bucket : middles;
      const one = { ...band, firstX: x, lastX: x, std: band.mean, runCount: band.count };
      return nonFiniteText(panelSeries(lineOwners([run("a")], null, "light"), new Map([["a", [one]]]), null), "number", "step");
    };
    expect(text(0)).toBe("2 NaN from step 3");
    expect(text(1)).toBe("2 NaN from about step 2");
  });

  it("say which values a logarithmic axis does not show", () => {
    const text = (values: number[], level: number, scale: "log" | "linear" | "symlog" = "log", zoom: [number, number] | null = null) => {
      const one = new Map([["a", [bucketed(steps(values), level, "a")]]]);
      return notPositiveText(panelSeries(lineOwners([run("a")], null, "light"), one, null), scale, zoom);
    };
    const negative = Array.from({ length: 200 }, (_, step) => -1 - step);
    expect(text(negative, 0)).toBe("200 values ≤ 0 not drawn on a log axis");
    expect(text(negative, 4)).toBe("200 values ≤ 0 not drawn on a log axis");
    expect(text(negative, 0, "log", [0, 9])).toBe("10 values ≤ 0 not drawn on a log axis");
    expect(text(negative, 0, "symlog")).toBe("");
    expect(text(negative, 0, "linear")).toBe("");
    expect(text([1, 0, Number.NaN, 2], 0)).toBe("1 value ≤ 0 not drawn on a log axis");
    expect(text([1, 0, 3, 2], 1)).toBe("values ≤ 0 not drawn on a log axis");
    expect(text([1, 2, Number.NaN, -Infinity], 0)).toBe("");
  });

  it("say which points a logarithmic x axis does not show", () => {
    const text = (xScale: "linear" | "log", level = 0, zoom: [number, number] | null = null) => {
      const one = new Map([["a", [bucketed(steps([1, 2, 3, 4]), level, "a")]]]);
      const lines = panelSeries(lineOwners([run("a")], null, "light"), one, null);
      return notPositiveXText(lines, { xScale, xName: "step" }, zoom);
    };
    expect(text("log")).toBe("1 point at step ≤ 0 not drawn on a log axis");
    expect(text("linear")).toBe("");
    expect(text("log", 0, [1, 3])).toBe("");
    expect(text("log", 1)).toBe(""); // The bucket of steps 0 and 1 is drawn at its middle.
  });

  it("say if a logarithmic axis shows nothing", () => {
    const text = (
      values: number[],
      { level = 0, x = "linear", y = "log", zoom = null }: { level?: number; x?: "linear" | "log"; y?: "linear" | "log" | "symlog"; zoom?: [number, number] | null } = {},
    ) => {
      const one = new Map([["a", [bucketed(steps(values), level, "a")]]]);
      const lines = panelSeries(lineOwners([run("a")], null, "light"), one, null);
      return noPositiveText(lines, { xScale: x, yScale: y, xName: "step" }, zoom);
    };
    const noValue = "No positive values for the logarithmic y axis";
    expect(text([-1, 0, -2])).toBe(noValue);
    expect(text([-1, 0, -2, -3], { level: 1 })).toBe(noValue);
    expect(text([0, Number.NaN, Number.POSITIVE_INFINITY])).toBe(noValue);
    expect(text([-1, 0, 2])).toBe("");
    expect(text([-1, 2], { level: 1 })).toBe("");
    expect(text([-1, 0, 2], { zoom: [0, 1] })).toBe(noValue);
    expect(text([-1, 0, 2], { zoom: [7, 9] })).toBe("");
    expect(text([-1, 0], { y: "symlog" })).toBe("");
    expect(text([-1, 0], { y: "linear" })).toBe("");
    expect(text([Number.NaN])).toBe(""); // The foot names it.
    expect(text([])).toBe("");
    expect(text([3], { x: "log" })).toBe("No step above 0 for the logarithmic x axis");
    expect(text([3, 4], { x: "log" })).toBe("");
    expect(text([-3, -4], { x: "log" })).toBe(noValue);
  });

  it("are described by what the zoom shows alone", () => {
    const shown = { bands: true, technique: "stroke", smoothing: 0 };
    const long = new Map([["a", [bucketed(steps([1, 2, 3, 4, Number.NaN, 6]), 0, "a")]]]);
    const lines = panelSeries(lineOwners([run("a")], null, "light"), long, null);
    expect(honesty(lines, shown)).toBe("6 points");
    expect(honesty(lines, { ...shown, zoom: [1, 3] })).toBe("3 points");
    expect(honesty(lines, { ...shown, zoom: [0.5, 1.5] })).toBe("1 point");
    expect(honesty(lines, { ...shown, zoom: [7, 9] })).toBe("0 points");
    expect(nonFiniteText(lines, "number", "step", [0, 3])).toBe("");
    expect(nonFiniteText(lines, "number", "step", [3, 5])).toBe("1 NaN from step 4");
  });

  it("end with the newest point, or with the mean of what ranks logged at one step", () => {
    const end = (points: { x: number; value: number }[], level: number) =>
      lineEnd({ id: "", runId: "a", name: "a", color: "", data: bucketed(points, level, "a") })!;
    expect(end(steps([1, 2, 3]), 0).value).toBe(3);
    const coarse = { value: 5, hint: "a: the newest point, or the mean of its ranks" };
    expect(end(steps([1, 2, 3, 5]), 2)).toEqual(coarse);
    // Of one writer that logged a step twice, or over another metric with one x: the later value.
    const twice = [0, 0, 1, 1].map((x, i) => ({ x, value: i }));
    expect(end(twice, 0).value).toBe(3);
    const group = { ...bucketed(steps([1, 2]), 0, "a"), runCount: new Float64Array([2, 2]) };
    expect(lineEnd({ id: "", runId: "", name: "a", color: "", data: group })).toEqual({ value: 2, hint: "a: mean of 1 point" });
  });

  it("end with the newest point over a metric that falls", () => {
    const data = { ...bucketed(steps([1, 5, 10]), 0, "a"), newest: new Float32Array([1, 5, 10]), newestStep: new Float64Array([2, 1, 0]) };
    const line = { id: "", runId: "a", name: "a", color: "", data };
    expect(lineEnd(line)?.value).toBe(1);
    expect(lineEnd(line, [1, 2])?.value).toBe(5);
    const coarse = { ...bucketed([3, 4, 5, 6, 7].map((x) => ({ x, value: x * 10 })), 3, "a"), newest: new Float32Array([70]), newestStep: new Float64Array([4]) };
    const over = lineEnd({ ...line, data: coarse }, [0, 5]);
    expect(over).toEqual({ value: 30, hint: "a: the first point of the last bucket" });
  });

  it("end, while zoomed, with the newest point of the shown range", () => {
    const points = steps(Array.from({ length: 4000 }, (_, step) => step));
    const end = (level: number, zoom: [number, number]) =>
      lineEnd({ id: "", runId: "a", name: "a", color: "", data: bucketed(points, level, "a") }, zoom);
    // More is loaded than the range, so that the line reaches its edge.
    expect(end(0, [100, 200])?.value).toBe(200);
    expect(end(3, [100, 3000])?.value).toBe(3000);
    expect(end(3, [100, 2999])?.value).toBe(2999);
    expect(end(3, [100, 3003])?.value).toBe(3000);
    expect(end(3, [5000, 6000])).toBeNull();
    expect(end(3, [3990, 6000])?.value).toBe(3999);
  });

  it("of the ranks of a run that is drawn alone have a colour each", () => {
    const ranks = ["rank-0", "rank-1"].map((label) => ({ ...bucketed(steps([1, 2]), 0), label }));
    const held = new Map([["a", ranks]]);
    const colors = (ids: string[]) =>
      panelSeries(lineOwners(ids.map((id) => run(id)), null, "light"), held, null).map(
        ({ name, color }) => [name, color],
      );
    const alone = colors(["a"]);
    expect(alone.map(([name]) => name)).toEqual(["a rank-0", "a rank-1"]);
    expect(alone[0]![1]).not.toBe(alone[1]![1]);
    const beside = colors(["a", "b"]);
    expect(beside[0]![1]).toBe(beside[1]![1]);
  });

  it("are groups with the colour of the oldest run", () => {
    const runs = [
      run("a", { group: "x", slot: 3, started_at: 9 }),
      run("b", { group: "x", slot: 5, started_at: 2 }),
      run("c", { group: "y", slot: 7 }),
    ];
    expect(groupRuns(runs, (one) => one.group)).toEqual([
      { name: "x", runIds: ["a", "b"], slot: 5, color: "" },
      { name: "y", runIds: ["c"], slot: 7, color: "" },
    ]);
  });

  it.each(decodeJson(JSON.stringify(groupCases)) as readonly { values: Value[]; groups: [string, number][] }[])(
    "are groups of equal values: $groups",
    ({ values, groups }) => {
      const found = groupRuns(values.map((_, at) => run(String(at))), ({ run_id }) => values[Number(run_id)]);
      expect(found.map(({ name, runIds }) => [name, runIds.length])).toEqual(groups);
    },
  );

  it("are groups of different colours, as far as the palette has them", () => {
    const slots = (all: number[]) =>
      groupRuns(all.map((slot, i) => run(`r${i}`, { group: `g${i}`, slot })), (one) => one.group).map(({ slot }) => slot);
    expect(slots([3, 5, 1, 3, 25])).toEqual([3, 5, 1, 0, 2]);
    expect(slots([0, 7, 20, 0])).toEqual([0, 7, 1, 2]);
    expect(new Set(slots(Array.from({ length: 20 }, () => 4))).size).toBe(20);
    expect(slots(Array.from({ length: 30 }, () => 4))).toHaveLength(30);
  });

  it("are at most 50 groups, the smallest of many in one", () => {
    const runs = Array.from({ length: 80 }, (_, i) => run(`r${i}`, { group: `g${i % 60}` }));
    const groups = groupRuns(runs, (one) => one.group);
    expect(groups).toHaveLength(50);
    expect(groups.at(-1)!.name).toBe("11 others");
    expect(groups.flatMap((group) => group.runIds)).toHaveLength(80);
    expect(groups.slice(0, 20).every((group) => group.runIds.length === 2)).toBe(true);
  });
});

it("a table has the rows of all series, thinned, and holes where one has no bucket", () => {
  const series = (id: string, count: number) => ({
    id,
    runId: id,
    name: id,
    color: "#000000",
    data: bucketed(steps(Array.from({ length: count }, (_, i) => i)), 0, id),
  });
  const found = tableRows([series("a", 3), series("b", 5)], null);
  expect([found.every, found.count]).toEqual([1, 5]);
  expect(found.rows.map(({ x, values }) => [x, ...values])).toEqual([
    [0, 0, 0],
    [1, 1, 1],
    [2, 2, 2],
    [3, null, 3],
    [4, null, 4],
  ]);
  const every = (id: string, step: number, count: number) => {
    const { data, ...one } = series(id, count);
    const at = data.bucket.map((x) => x * step);
    return { ...one, data: { ...data, bucket: at, firstX: at, lastX: at } };
  };
  expect(tableRows([every("a", 3, 2), every("b", 2, 3)], null).rows.map(({ x, values }) => [x, ...values])).toEqual([
    [0, 0, 0],
    [2, null, 1],
    [3, 1, null],
    [4, null, 2],
  ]);
  const coarse = { ...series("c", 4), data: bucketed(steps([0, 1, 2, 3]), 1, "c") };
  expect(tableRows([coarse, series("a", 4)], null).rows.map(({ from, x, values }) => [from, x, ...values])).toEqual([
    [0, 1, 0.5, 1],
    [2, 3, 2.5, 3],
  ]);
  expect(tableRows([series("a", 1000)], [100, 899]).rows).toHaveLength(800);
  const twenty = tableRows(Array.from({ length: 20 }, (_, i) => series(`${i}`, 935)), null);
  expect([twenty.every, twenty.count, twenty.rows.length]).toEqual([5, 935, 188]);
  expect(twenty.rows.at(-1)!.x).toBe(934);
  expect(tableRows([], null)).toEqual({ rows: [], every: 1, count: 0 });
});

it("a table says which rows it leaves out, and that its values are not smoothed", () => {
  const note = (every: number, isSmoothed = false) => tableNote({ every, count: 1935, isSmoothed, areMeans: false });
  expect(note(1)).toBe("");
  expect(note(5)).toBe("every 5th of 1,935 rows; zoom in to see all");
  expect([2, 3, 11, 21].map((every) => note(every).split(" ")[1])).toEqual(["2nd", "3rd", "11th", "21st"]);
  expect(note(1, true)).toBe("values are not smoothed");
  expect(tableNote({ every: 1, count: 9, isSmoothed: false, areMeans: true })).toBe("each value is the mean of the points in its row");
  expect(note(2, true)).toBe("every 2nd of 1,935 rows; zoom in to see all · values are not smoothed");
});

it("a panel says how many points have no x", () => {
  const line = (version: number) => ({ id: "a", runId: "a", name: "a", color: "#000000", data: { ...bucketed(steps([0, 1, 2, 3]), 1, "a"), version } });
  const axes = { x: "metric:epoch", xName: "epoch" };
  expect(withoutXText([line(4)], axes)).toBe("");
  expect(withoutXText([line(5), line(4)], axes)).toBe("1 point without a finite epoch not drawn");
  expect(withoutXText([line(1004)], axes)).toBe("1,000 points without a finite epoch not drawn");
  expect(withoutXText([line(9)], axes, [0, 1])).toBe("");
  expect(withoutXText([line(9)], { x: "step", xName: "step" })).toBe("");
});

it("a table and the corner of a panel say which infinity a value is", () => {
  const [nan, high, low] = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const series = (values: number[], level: number) => ({
    id: "a",
    runId: "a",
    name: "a",
    color: "#000000",
    data: bucketed(steps(values), level, "a"),
  });
  const column = (values: number[], level: number) =>
    tableRows([series(values, level)], null).rows.map((row) => row.values[0]);
  expect(column([0, nan, high, low], 0)).toEqual([0, nan, high, low]);
  // The store has no order of the points in a bucket, and a mean of finite points alone.
  expect(column([high, high, high, low, high, nan, 4, low], 1)).toEqual([high, nan, nan, 4]);
  expect(lineEnd(series([1, high], 0))!.value).toBe(high);
  expect(lineEnd(series([1, low], 0))!.value).toBe(low);
  expect(lineEnd(series([1, nan], 0))!.value).toBe(nan);
});
