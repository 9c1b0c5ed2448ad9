import { describe, expect, it } from "vitest";

import { nearestLines } from "../../src/engine/hit.js";
import {
  type ChartSeries,
  extentX,
  extentY,
  prepareLine,
  visiblePart,
} from "../../src/engine/lines.js";
import { countNonFinite, marksOf } from "../../src/engine/marks.js";
import { makeScale } from "../../src/engine/scales.js";
import { bucketed, type Point, steps } from "./series.js";

const PLAIN = { halfLife: 0, unit: "x" } as const;

function line(id: string, points: Point[], level = 0) {
  const series: ChartSeries = {
    id,
    runId: id,
    name: id,
    color: "#2462b1",
    data: bucketed(points, level, id),
  };
  return prepareLine(series, PLAIN);
}

describe("the hit test", () => {
  const lines = [
    line("flat", steps([1, 1, 1, 1])),
    line("high", steps([5, 5, 5, 5])),
    line("rising", steps([0, 2, 4, 6])),
  ];
  const x = makeScale("linear", 0, 3, 0, 300);
  const y = makeScale("linear", 0, 10, 100, 0);

  it("orders lines by their distance from the cursor", () => {
    const hits = nearestLines(lines, x, y, { value: 1, pixelY: 85 });
    expect(hits.map((hit) => hit.line.series.id)).toEqual(["flat", "rising", "high"]);
    expect(hits[1]).toMatchObject({ value: 2, index: 1 });
    expect(hits[1]!.distance).toBeCloseTo(5, 9);
  });

  it("measures to the drawn line between two buckets", () => {
    const [nearest] = nearestLines([lines[2]!], x, y, { value: 1.5, pixelY: 70 });
    expect(nearest!.distance).toBeCloseTo(0, 9);
  });

  it("orders by value when the pointer is over another chart", () => {
    const hits = nearestLines(lines, x, y, { value: 3, pixelY: null });
    expect(hits.map((hit) => hit.value)).toEqual([6, 5, 1]);
  });

  it("leaves out a line that ended before the cursor", () => {
    const short = line("short", steps([1, 2]));
    const wide = makeScale("linear", 0, 100, 0, 1000);
    expect(nearestLines([short], wide, y, { value: 50, pixelY: 0 })).toEqual([]);
    expect(nearestLines([short], wide, y, { value: 3, pixelY: 0 })).toHaveLength(1);
  });

  it("looks past a bucket without a value", () => {
    const holed = line("holed", steps([1, Number.NaN, 3]));
    expect(nearestLines([holed], x, y, { value: 1, pixelY: 50 })[0]!.value).toBe(1);
  });
});

describe("extents", () => {
  const lines = [line("a", steps([1, 9, 3, 2]), 1), line("b", steps([-4, 0.5], 10))];

  it("of x reach from the first to the last point", () => {
    expect(extentX(lines, false)).toEqual([0, 10]);
    expect(extentX(lines, true)[0]).toBe(0.5);
    expect(extentX([], false)).toEqual([Number.NaN, Number.NaN]);
  });

  it("of y hold the extremes with bands, the means without, and only what is in the range", () => {
    expect(extentY(lines, 0, 10, { bands: true, positive: false })).toEqual([-4, 9]);
    expect(extentY([lines[0]!], 0, 10, { bands: false, positive: false })).toEqual([2.5, 5]);
    expect(extentY(lines, 5, 10, { bands: true, positive: false })).toEqual([0.5, 0.5]);
    expect(extentY([lines[1]!], 0, 10, { bands: true, positive: true })).toEqual([0.5, 0.5]);
  });

  it("a visible part has one more bucket on either side", () => {
    expect(visiblePart(Float64Array.of(0, 1, 2, 3, 4, 5), 2, 3)).toEqual([1, 4]);
    expect(visiblePart(Float64Array.of(0, 1), 7, 9)).toEqual([1, 2]);
  });
});

describe("non-finite values", () => {
  const data = bucketed(steps([1, Number.NaN, Number.NaN, 2]), 1);

  it("are marked at their bucket and counted", () => {
    expect(marksOf(data)).toEqual([
      { kind: "nan", x: 0.5 },
      { kind: "nan", x: 2.5 },
    ]);
    expect(countNonFinite([{ data, part: [0, data.length] }])).toEqual({ nan: 2, positiveInf: 0, negativeInf: 0, firstX: 0, isExact: false });
    expect(countNonFinite([{ data: bucketed(steps([1]), 0), part: [0, 1] }])).toBeNull();
  });
});

it("a smoothed line is made once for the same half-life", () => {
  const series: ChartSeries = {
    id: "a",
    runId: "a",
    name: "a",
    color: "#2462b1",
    data: bucketed(steps([1, 2, 3]), 0),
  };
  const smoothing = { halfLife: 4, unit: "x" } as const;
  expect(prepareLine(series, smoothing).ys).toBe(prepareLine(series, smoothing).ys);
  expect(prepareLine(series, PLAIN).ys).toBe(series.data.mean);
});
