import { describe, expect, it } from "vitest";

import { halfLifeOfWeight, smooth } from "../../src/engine/smoothing.js";
import { random } from "./encode.js";
import { bucketed, type Point, steps } from "./series.js";

/** The average over raw points, by its definition: normalised weights of 0.5 ** (distance / half-life). */
function exact(points: readonly Point[], halfLife: number): number[] {
  let sum = 0;
  let weight = 0;
  return points.map(({ x, value }, i) => {
    const decay = i === 0 ? 0 : 0.5 ** ((x - points[i - 1]!.x) / halfLife);
    sum = sum * decay + value;
    weight = weight * decay + 1;
    return sum / weight;
  });
}

function noisy(count: number, every = 1): Point[] {
  const next = random(7);
  return steps(
    Array.from({ length: count }, (_, i) => 3 * Math.exp(-i / (count / 4)) + (next() - 0.5)),
    every,
  );
}

/** Root of the mean squared difference at the ends of buckets. */
function error(points: readonly Point[], level: number, halfLife: number, from = 0): number {
  const truth = exact(points, halfLife);
  const whole = bucketed(points, level);
  const shown = from === 0 ? whole : bucketed(points.slice(from), level - 3);
  const got = smooth(shown, halfLife, "x", from === 0 ? null : whole);
  let squares = 0;
  for (let i = 0; i < shown.length; i++) {
    const index = points.findLastIndex((point) => point.x === shown.lastX[i]);
    squares += (got[i]! - truth[index]!) ** 2;
  }
  return Math.sqrt(squares / shown.length);
}

describe("smoothing", () => {
  it("over single points is the exact average", () => {
    const points = noisy(500);
    const got = smooth(bucketed(points, 0), 20);
    exact(points, 20).forEach((value, i) => expect(got[i]).toBeCloseTo(value, 10));
  });

  it("over buckets of 16 points stays near the exact average, at every half-life", () => {
    const points = noisy(8000);
    expect(error(points, 4, 69)).toBeLessThan(0.02);
    expect(error(points, 4, 693)).toBeLessThan(0.002);
    expect(error(points, 4, 6931)).toBeLessThan(0.0005);
  });

  it("has the same values after a zoom, warmed up by the coarser series", () => {
    const points = noisy(8000);
    expect(error(points, 6, 693, 4096)).toBeLessThan(0.002);
  });

  it("means the same half-life for a metric logged every 50 steps", () => {
    const points = noisy(2000, 50);
    const got = smooth(bucketed(points, 9), 5000);
    const truth = exact(points, 5000);
    expect(got.at(-1)).toBeCloseTo(truth.at(-1)!, 3);
  });

  it("of a constant is the constant, from the first bucket on", () => {
    for (const value of smooth(bucketed(steps(Array.from({ length: 300 }, () => 4)), 3), 100))
      expect(value).toBeCloseTo(4, 12);
  });

  it("leaves a bucket without a finite value open and goes on behind it", () => {
    const got = smooth(bucketed(steps([1, Number.NaN, 1]), 0), 5);
    expect([...got]).toEqual([1, Number.NaN, 1]);
  });

  it("gives a bucket the weight of its finite points alone", () => {
    const holed = smooth(
      bucketed(steps([1, Number.NaN, Number.NaN, Number.NaN, 5, 5, 5, 5]), 2),
      4,
      "points",
    );
    const plain = smooth(
      bucketed(
        [1, 5, 5, 5, 5].map((value, i) => ({ x: i + 3, value })),
        2,
      ),
      4,
      "points",
    );
    expect(holed[1]).toBeCloseTo(plain[1]!, 12);
  });

  it("by points ignores the distance of x", () => {
    const near = smooth(bucketed(steps([1, 2, 3]), 0), 2, "points");
    const far = smooth(bucketed(steps([1, 2, 3], 64), 6), 2, "points");
    expect([...far]).toEqual([...near]);
  });
});

it("a weight of 0.5 per point is a half-life of one point, 0 is none", () => {
  expect(halfLifeOfWeight(0.5)).toBeCloseTo(1, 12);
  expect(halfLifeOfWeight(0.99)).toBeCloseTo(68.97, 2);
  expect(halfLifeOfWeight(0)).toBe(0);
});
