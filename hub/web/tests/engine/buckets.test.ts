import { describe, expect, it } from "vitest";

import {
  alignWindow,
  gapsBefore,
  heldSeries,
  lowerBound,
  mergeTail,
  middle,
  nearestIndex,
  positions,
} from "../../src/engine/buckets.js";
import { bucketed, steps } from "./series.js";
import { random } from "./encode.js";

it("a window widens to a grain of a 32nd to a 64th of its size, and never shrinks", () => {
  const next = random(2);
  for (let round = 0; round < 1000; round++) {
    const first = next() * 1e6;
    const last = first + 1 + next() * 1e6;
    const [from, to] = alignWindow(first, last);
    expect(from).toBeLessThanOrEqual(first);
    expect(to).toBeGreaterThanOrEqual(last);
    expect(to - from).toBeLessThanOrEqual((last - first) * (1 + 2 / 32));
  }
});

it("search finds the first element that is not less, and the nearest one", () => {
  const array = [1, 3, 3, 8];
  expect([0, 1, 2, 3, 4, 9].map((value) => lowerBound(array, value))).toEqual([0, 0, 1, 1, 3, 4]);
  expect([0, 2.1, 5, 6, 99].map((value) => nearestIndex(array, value))).toEqual([0, 1, 2, 3, 3]);
  expect(nearestIndex([], 1)).toBe(-1);
});

describe("a tail", () => {
  const values = Array.from({ length: 100 }, (_, i) => Math.sin(i));

  it("merged into what was held equals the series asked for anew, at every cut", () => {
    for (let cut = 1; cut < 100; cut++) {
      const held = bucketed(steps(values).slice(0, cut), 3);
      const whole = bucketed(steps(values), 3);
      const { tail, head_count } = heldSeries(held)!;
      expect(head_count).toBe(tail * 8);
      const late = bucketed(
        steps(values).filter((point) => point.x >= tail * 8),
        3,
      );
      const merged = mergeTail(held, { ...late, tail: true, version: 100 }, tail);
      expect({ ...merged, count: [...merged.count] }).toEqual({
        ...whole,
        count: [...whole.count],
      });
    }
  });

  it("brings non-finite counts along when only it has some", () => {
    const held = bucketed(steps([1, 2, 3]), 0);
    const late = bucketed(
      [
        { x: 2, value: 3 },
        { x: 3, value: Number.NaN },
      ],
      0,
    );
    expect([...mergeTail(held, late, 2).nan!]).toEqual([0, 0, 0, 1]);
  });

  it("of another level is refused", () => {
    expect(() => mergeTail(bucketed(steps(values), 3), bucketed(steps(values), 2), 0)).toThrow(
      RangeError,
    );
  });

  it("is not asked for where nothing is held", () => {
    expect(heldSeries(bucketed([], 0))).toBeNull();
  });
});

it("a bucket is drawn in the middle between its first and last point", () => {
  expect([...positions(bucketed(steps([1, 2, 3, 4, 5]), 2))]).toEqual([1.5, 4]);
});

describe("gaps", () => {
  const at = (...xs: number[]) => gapsBefore(Float64Array.from(xs));
  const range = (from: number, to: number, step = 1) =>
    Array.from({ length: (to - from) / step }, (_, i) => from + i * step);

  it("are pauses amid even points", () => {
    const flags = at(...range(0, 50), ...range(5000, 5050))!;
    expect([...flags.keys()].filter((i) => flags[i] === 1)).toEqual([50]);
  });

  it("are no sparse logging, no logging at powers of two, no change of the interval, no bursts", () => {
    expect(at(...range(0, 100_000, 1000))).toBeNull();
    expect(at(...range(0, 40).map((i) => 2 ** i))).toBeNull();
    expect(at(...range(0, 50), ...range(1000, 9000, 100))).toBeNull();
    expect(at(...range(0, 90).map((i) => Math.floor(i / 3) * 60_000 + (i % 3)))).toBeNull();
  });
});

it("windows and middles near the ends of the numbers are finite", () => {
  const largest = Number.MAX_VALUE;
  expect(alignWindow(-largest, largest)).toEqual([-largest, largest]);
  expect(alignWindow(0, Number.MIN_VALUE)).toEqual([0, Number.MIN_VALUE]);
  expect(middle(largest, largest)).toBe(largest);
  expect(middle(3, 4)).toBe(3.5);
});
