/** Parallel coordinates: which line a point is on, and colours of a ramp. */
import { expect, test } from "vitest";

import { nearestParallel, rampColor, type ParallelLines } from "../../src/engine/parallel.js";

const LAYOUT = { width: 300, height: 100, ratio: 1, xs: Float32Array.of(50, 150, 250) };
const LINES: ParallelLines = {
  places: [Float32Array.of(0, 1, 0.5), Float32Array.of(1, 0, 0.5), Float32Array.of(1, 0, Number.NaN)],
  colors: ["#000000", "#000000", "#000000"],
  order: Uint32Array.of(0, 1, 2),
  isOn: Uint8Array.of(1, 1, 1),
};

test.each([
  [50, 98, 0],
  [75, 70, 0],
  [75, 30, 1],
  [149, 48, 2],
  [200, 50, 1],
  [250, 0, 0],
])("the line at (%d, %d)", (x, y, item) => {
  expect(nearestParallel(LAYOUT, LINES, x, y)?.item).toBe(item);
});

test("where lines cross, the upper one is meant; one that is off is not", () => {
  expect(nearestParallel(LAYOUT, LINES, 100, 50)).toEqual({ item: 2, distance: 0 });
  expect(nearestParallel(LAYOUT, { ...LINES, isOn: Uint8Array.of(1, 0, 0) }, 100, 50)?.item).toBe(0);
});

test("beside the axes there is no line", () => {
  expect(nearestParallel(LAYOUT, LINES, 49, 50)).toBeNull();
  expect(nearestParallel(LAYOUT, LINES, 251, 50)).toBeNull();
  expect(nearestParallel({ ...LAYOUT, xs: Float32Array.of(50) }, { ...LINES, places: LINES.places.slice(0, 1) }, 50, 50)).toBeNull();
});

test("a ramp goes through its stops", () => {
  const ramp = ["#000000", "#0080ff", "#ffffff"];
  expect([-1, 0, 0.25, 0.5, 1, 2].map((place) => rampColor(ramp, place))).toEqual([
    "#000000", "#000000", "#004080", "#0080ff", "#ffffff", "#ffffff",
  ]);
});
