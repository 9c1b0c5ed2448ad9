import { describe, expect, it } from "vitest";

import { Density, densityRamp, packColor, Raster } from "../../src/engine/raster.js";
import { random } from "./encode.js";

const RED = packColor("#ff0000");

function picture(
  width = 20,
  height = 10,
): { pixels: Uint32Array; raster: Raster; columns: () => number[][] } {
  const pixels = new Uint32Array(width * height);
  const columns = () =>
    Array.from({ length: width }, (_, column) =>
      [...Array(height).keys()].filter((row) => pixels[row * width + column] !== 0),
    );
  return { pixels, raster: new Raster(pixels, width, height), columns };
}

const floats = (...values: number[]) => Float32Array.from(values);

it("a colour is packed for little-endian pixels", () => {
  expect(packColor("#2462b1")).toBe(0xffb16224);
  expect(packColor("#000000", 16)).toBe(0x10000000);
});

describe("a line", () => {
  it("covers each column that it crosses, without a hole, for all kinds of points", () => {
    const next = random(11);
    for (let round = 0; round < 300; round++) {
      const { raster, columns } = picture(40, 30);
      const n = 2 + Math.floor(next() * 60);
      const xs = Float32Array.from({ length: n }, () => next() * 40).sort();
      const ys = Float32Array.from({ length: n }, () => next() * 30);
      raster.line(xs, ys, n, RED);
      const drawn = columns();
      for (
        let column = Math.floor(xs[0]!);
        column <= Math.min(39, Math.floor(xs[n - 1]!));
        column++
      ) {
        const rows = drawn[column]!;
        expect(rows.length).toBeGreaterThan(0);
        expect(rows.at(-1)! - rows[0]! + 1).toBe(rows.length);
        const before = column > Math.floor(xs[0]!) ? drawn[column - 1]! : rows;
        expect(rows[0]!).toBeLessThanOrEqual(before.at(-1)! + 1);
        expect(rows.at(-1)!).toBeGreaterThanOrEqual(before[0]! - 1);
      }
    }
  });

  it("keeps a spike of a single bucket", () => {
    const { raster, columns } = picture();
    raster.line(floats(1.2, 1.5, 1.8), floats(8, 1, 8), 3, RED);
    expect(columns()[1]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it("ends at NaN and at a gap, and a lone point is a dot", () => {
    const { raster, columns } = picture();
    raster.line(
      floats(2, 6, 10, 14),
      floats(5, Number.NaN, 5, 5),
      4,
      RED,
      Uint8Array.of(0, 0, 0, 1),
    );
    const covered = columns().map((rows) => rows.length > 0);
    expect(covered.map((is, column) => (is ? column : -1)).filter((column) => column >= 0)).toEqual(
      [1, 2, 3, 9, 10, 11, 13, 14, 15],
    );
  });

  it("leaves out a lone point that is too far away to count columns", () => {
    const { raster, columns } = picture();
    raster.line(floats(5, 1e20), floats(5, 5), 2, RED, Uint8Array.of(0, 1));
    raster.line(floats(-1e20, 5), floats(5, 5), 2, RED, Uint8Array.of(0, 1));
    expect(columns().flatMap((rows, at) => (rows.length > 0 ? [at] : []))).toEqual([4, 5, 6]);
  });

  it("far outside is clipped, not wrapped to another row", () => {
    const { raster, pixels } = picture();
    raster.line(floats(-1e6, 1e6), floats(-500, -400), 2, RED);
    raster.line(floats(-1e6, 1e6), floats(500, 400), 2, RED);
    expect(pixels.every((pixel) => pixel === 0)).toBe(true);
    raster.line(floats(-1e3, 1e3), floats(5, 5), 2, RED);
    expect([...pixels.subarray(100, 120)].every((pixel) => pixel === RED)).toBe(true);
  });
});

describe("a band", () => {
  it("covers the pixels between minimum and maximum once", () => {
    const { raster, pixels, columns } = picture();
    raster.band(floats(0, 10, 19), floats(8, 8, 8), floats(3, 3, 3), 3, RED, 40);
    expect(columns()[7]).toEqual([3, 4, 5, 6, 7, 8]);
    expect(new Set(pixels)).toEqual(new Set([0, packColor("#ff0000", 40)]));
  });

  it("keeps the extremes of buckets that share a column", () => {
    const { raster, columns } = picture();
    raster.band(floats(4.1, 4.4, 4.8, 6), floats(5, 9, 5, 5), floats(4, 4, 1, 4), 4, RED, 40);
    expect([columns()[4]![0], columns()[4]!.at(-1)]).toEqual([1, 9]);
  });

  it("over another one is denser", () => {
    const { raster, pixels } = picture();
    for (const color of ["#ff0000", "#0000ff"])
      raster.band(floats(0, 19), floats(8, 8), floats(3, 3), 2, packColor(color), 40);
    expect(pixels[5 * 20 + 5]! >>> 24).toBeGreaterThan(60);
  });
});

describe("density", () => {
  it("weighs a steep line like a flat one", () => {
    const density = new Density(10, 100);
    density.line(floats(0, 9.9), floats(50, 50), 2);
    const flat = new Uint32Array(1000);
    density.paint(flat, Uint32Array.of(1, 2, 3));
    expect(flat[50 * 10 + 5]).toBe(3);
    for (let i = 0; i < 20; i++) density.line(floats(2, 2.5), floats(0, 99), 2);
    const both = new Uint32Array(1000);
    density.paint(both, Uint32Array.of(1, 2, 3));
    expect(both[50 * 10 + 5]).toBe(3);
    expect(both[10 * 10 + 2]).toBeLessThan(3);
  });

  it("of steps has each column once, with the nearest value, and a hole where points are missing", () => {
    const next = random(12);
    for (let round = 0; round < 200; round++) {
      const density = new Density(40, 10);
      const xs = Float32Array.from({ length: 30 }, (_, i) => i * 1.3 + next());
      density.steps(
        xs,
        Float32Array.from(xs, () => 5),
        30,
        8,
      );
      const pixels = new Uint32Array(400);
      density.paint(pixels, Uint32Array.of(7));
      const covered = [...pixels.subarray(200, 240)].map((pixel) => pixel === 7);
      const [first, last] = [covered.indexOf(true), covered.lastIndexOf(true)];
      expect(covered.slice(first, last + 1)).not.toContain(false);
      expect(last - first).toBeGreaterThan(34);
    }
    const density = new Density(40, 10);
    density.steps(floats(0, 1, 2, 30, 31, 32), floats(5, 5, 5, 5, 5, 5), 6, 8);
    const pixels = new Uint32Array(400);
    density.paint(pixels, Uint32Array.of(7));
    expect(pixels[5 * 40 + 15]).toBe(0);
  });

  it("without lines paints nothing", () => {
    const pixels = new Uint32Array(100);
    new Density(10, 10).paint(pixels, densityRamp(["#000000", "#ffffff"]));
    expect(pixels.every((pixel) => pixel === 0)).toBe(true);
  });

  it("has a ramp from the first stop to the last", () => {
    const ramp = densityRamp(["#102030", "#405060", "#ffffff"], 64);
    expect(ramp[0]! & 0xffffff).toBe(0x302010);
    expect(ramp[63]).toBe(0xffffffff);
  });
});
