/** Heat maps: which cell is where, and how dark it is. */
import { describe, expect, it } from "vitest";

import {
  heightOf,
  histogramAt,
  paintHeatMap,
  ridgeRows,
  shadeOf,
  shades,
  shareRange,
  stepEdges,
} from "../../src/engine/heatMap.js";
import { barsPath, histogramFacts, matrixText } from "../../src/engine/histogramFacts.js";
import { matrixOf } from "./histograms.js";

describe("the axis of steps", () => {
  it("has an edge half-way between neighbours, and as much beyond the ends", () => {
    expect([...stepEdges([0, 10, 30])]).toEqual([-5, 5, 20, 40]);
    expect([...stepEdges([7])]).toEqual([6.5, 7.5]);
    expect(stepEdges([]).length).toBe(1);
  });

  it("finds the histogram at each place", () => {
    const edges = stepEdges([0, 10, 30]);
    const places = [-5, 0, 4.9, 5, 19, 20, 40];
    expect(places.map((x) => histogramAt(edges, x))).toEqual([0, 0, 0, 1, 1, 2, 2]);
    expect([-5.1, 40.1, Number.NaN].map((x) => histogramAt(edges, x))).toEqual([-1, -1, -1]);
    expect(histogramAt(stepEdges([]), 0)).toBe(-1);
  });
});

describe("shades", () => {
  const matrix = matrixOf([0, 1, 2], [[1, 3], [0, 100], [0, 0]]);

  it("go by the part that a bin has of its histogram", () => {
    expect(shareRange(matrix)).toEqual({ least: 0.25, most: 1 });
    expect(shareRange(matrixOf([0], [[0, 0]]))).toEqual({ least: 0, most: 0 });
  });

  it("are none for nothing and the darkest for most, on both scales", () => {
    for (const isLog of [false, true]) {
      expect(shadeOf(0, 1, isLog)).toBe(0);
      expect(shadeOf(1, 1, isLog)).toBe(255);
      expect(shadeOf(1e-9, 1, isLog)).toBe(1);
      const all = [1e-6, 1e-4, 1e-3, 0.1, 0.5, 1].map((share) => shadeOf(share, 1, isLog));
      expect([...all].sort((a, b) => a - b)).toEqual(all);
    }
    expect(shadeOf(0.01, 1, true)).toBeGreaterThan(shadeOf(0.01, 1, false));
  });

  it("begin at the empty colour and end at the last of the ramp", () => {
    const colors = shades("#ffffff", ["#804020", "#000010"]);
    expect([colors[0], colors[255]]).toEqual([0xffffffff, 0xff100000]);
    expect(shades("#fff", ["#804020", "#000010"])).toEqual(colors);
    expect(colors[127]! & 0xff).toBeGreaterThan(0x7f);
  });

  it("fill each pixel of its cell, the lowest value at the bottom", () => {
    const pixels = new Uint32Array(6 * 4);
    const place = { width: 6, height: 4, x: [-0.5, 2.5], y: [0, 1] } as const;
    const colors = Uint32Array.from({ length: 256 }, (_, at) => at);
    paintHeatMap(pixels, matrix, place, colors, false);
    const rows = [0, 1, 2, 3].map((row) => [...pixels.slice(row * 6, row * 6 + 6)]);
    const [upper, lower] = [shadeOf(0.75, 1, false), shadeOf(0.25, 1, false)];
    expect(rows).toEqual([
      [upper, upper, 255, 255, 0, 0],
      [upper, upper, 255, 255, 0, 0],
      [lower, lower, 0, 0, 0, 0],
      [lower, lower, 0, 0, 0, 0],
    ]);
  });
});

describe("ridges", () => {
  it("are evenly chosen, with the first and the last", () => {
    expect(ridgeRows(3, 5)).toEqual([0, 1, 2]);
    expect(ridgeRows(100, 4)).toEqual([0, 33, 66, 99]);
    expect(new Set(ridgeRows(50, 40)).size).toBe(40);
    expect(ridgeRows(0, 4)).toEqual([]);
  });

  it("rise with the share, to 1", () => {
    for (const isLog of [false, true]) {
      expect([heightOf(0, 1, isLog), heightOf(0.5, 0.5, isLog)]).toEqual([0, 1]);
      expect(heightOf(1e-9, 1, isLog)).toBeLessThan(0.001);
      expect(heightOf(0.2, 0.5, isLog)).toBeGreaterThan(heightOf(0.1, 0.5, isLog));
    }
  });
});

describe("a single histogram", () => {
  it("says its values, its range and what is not finite", () => {
    const matrix = matrixOf([5, 6], [[1, 3], [0, 0]], {
      nan: Float64Array.of(0, 2000),
      ownLow: Float64Array.of(-0.5, 0),
      ownHigh: Float64Array.of(0.25, 0),
    });
    expect(histogramFacts(matrix, 0)).toEqual(["4 values", "-0.50000 … 0.25000"]);
    expect(histogramFacts(matrix, 1)).toEqual(["no finite value", "2.0 k NaN"]);
  });

  it("is drawn bar by bar", () => {
    expect(barsPath(matrixOf([0], [[1, 2]]), 0, false)).toBe("M0 48V24.0H80.0V0.0H160.0V48Z");
    expect(barsPath(matrixOf([0], [[0, 0]]), 0, true)).not.toContain("NaN");
  });

  it("is one of so many, which the panel says", () => {
    expect(matrixText(matrixOf([0], [[1]]))).toBe("1 step · in 1 equal bins");
    const thinned = { level: 3, stepCount: 2400 };
    expect(matrixText(matrixOf([7, 15], [[1, 2], [3, 4]], thinned))).toBe(
      "2.4 k steps · 2 drawn, each the last of 8 · in 2 equal bins",
    );
  });
});

it("a heat map from the smallest to the largest number has both its bins", () => {
  const largest = Number.MAX_VALUE;
  const matrix = matrixOf([0], [[1, 3]], { low: -largest, high: largest });
  const pixels = new Uint32Array(2);
  const place = { width: 1, height: 2, x: [-0.5, 0.5], y: [-largest, largest] } as const;
  paintHeatMap(pixels, matrix, place, Uint32Array.from({ length: 256 }, (_, at) => at), false);
  expect([...pixels]).toEqual([255, 85]);
});
