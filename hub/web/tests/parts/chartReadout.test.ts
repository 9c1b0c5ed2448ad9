/** The x that the read-out of a chart names. */
import { expect, it } from "vitest";

import type { BucketSeries } from "../../src/engine/frames.js";
import type { Hit } from "../../src/engine/hit.js";
import { prepareLine } from "../../src/engine/lines.js";
import { hitText, ownX } from "../../src/parts/ChartReadout.js";
import { bucketed, steps } from "../engine/series.js";

function hit(data: BucketSeries, index: number): Hit {
  const line = prepareLine({ id: "a", runId: "a", name: "a", color: "#000000", data }, { halfLife: 0, unit: "x" });
  return { line, index, x: line.xs[index]!, value: 0, distance: 0 };
}

it("a bucket of one x is read out with it", () => {
  expect(hitText(hit(bucketed(steps([1, 2, 3]), -4), 2), "number")).toBe("2");
  expect(hitText(hit(bucketed(steps([1, 2, 3], 0.5), 0), 1), "number")).toBe("1");
});

it("a bucket of several x is read out with their range", () => {
  const coarse = bucketed(steps([1, 2, 3, 4, 5, 6]), 2);
  expect(hitText(hit(coarse, 0), "number")).toBe("0 … 3");
  expect(hitText(hit(coarse, 1), "number")).toBe("4 … 5");
  expect(hitText(hit(coarse, 0), "relative")).not.toContain("…");
});

it("a group over steps has the range of the bucket, and a single step at full resolution", () => {
  const group = (level: number): BucketSeries => {
    const data = bucketed(steps([1, 2, 3, 4, 5, 6]), level);
    const x = level === 0 ? data.bucket : data.bucket.map((index) => (index + 0.5) * data.width);
    return { ...data, firstX: x, lastX: x };
  };
  expect(hitText(hit(group(2), 1), "number")).toBe("4 … 7");
  expect(hitText(hit(group(0), 1), "number")).toBe("1");
});

it("a line whose value is of another x says which", () => {
  const dense = bucketed(steps([1, 2, 3, 4, 5, 6]), -4);
  const sparse = bucketed([{ x: 0, value: 1 }, { x: 4, value: 2 }], -4);
  expect(ownX(hit(dense, 3), hit(sparse, 1), "number")).toBe("3");
  expect(ownX(hit(dense, 4), hit(sparse, 1), "number")).toBe("");
  const coarse = bucketed(steps([1, 2, 3, 4, 5, 6]), 2);
  expect(ownX(hit(sparse, 1), hit(coarse, 1), "number")).toBe("");
  expect(ownX(hit(coarse, 1), hit(sparse, 1), "number")).toBe("4 … 5");
  expect(ownX(hit(dense, 3), hit(sparse, 1), "relative")).not.toBe("");
});
