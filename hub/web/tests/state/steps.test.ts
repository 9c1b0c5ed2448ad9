import { describe, expect, it } from "vitest";

import { indexAt, moved, neighbour, stepOfIndex } from "../../src/state/steps.js";

const STEPS = [0, 10, 20, 35];

describe("steps", () => {
  it("finds the last step at or before another", () => {
    expect([-1, 0, 9, 10, 34, 35, 99].map((step) => indexAt(STEPS, step))).toEqual([-1, 0, 0, 1, 2, 3, 3]);
    expect(indexAt([], 5)).toBe(-1);
  });

  it("moves over the steps that exist and stops at both ends", () => {
    expect(moved(STEPS, 10, 1)).toBe(20);
    expect(moved(STEPS, 12, -1)).toBe(0);
    expect(moved(STEPS, 0, -1)).toBe(0);
    expect(moved([], 7, 1)).toBe(7);
  });

  it("takes the last step as the newest, which moves along", () => {
    expect(moved(STEPS, 20, 1)).toBeNull();
    expect(moved(STEPS, null, 1)).toBeNull();
    expect(moved(STEPS, null, -1)).toBe(20);
    expect(stepOfIndex(STEPS, 3)).toBeNull();
    expect(stepOfIndex(STEPS, 1)).toBe(10);
    expect(stepOfIndex([], 0)).toBeNull();
  });

  it("knows the steps before and after the one that is shown", () => {
    expect(neighbour(STEPS, 12, 1)).toBe(20);
    expect(neighbour(STEPS, 12, -1)).toBe(0);
    expect(neighbour(STEPS, null, -1)).toBe(20);
    expect([neighbour(STEPS, null, 1), neighbour(STEPS, 99, 1), neighbour(STEPS, 9, -1)]).toEqual([undefined, undefined, undefined]);
    expect(neighbour([], 3, 1)).toBeUndefined();
  });
});
