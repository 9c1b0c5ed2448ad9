/** Histogram frames: whole matrices, in order; anything else is refused. */
import { describe, expect, it } from "vitest";

import { FrameError } from "../../src/engine/frames.js";
import { decodeHistograms } from "../../src/engine/histogramFrames.js";
import { encodeMatrix, matrixOf } from "./histograms.js";

const first = matrixOf([1, 2], [[1, 2, 3], [4, 5, 6]], { nan: Float64Array.of(0, 7), level: 3 });
const second = matrixOf([], [], { metric: "v", bins: 5, labels: [] });

describe("histogram frames", () => {
  it("give back what was packed, one behind the other", () => {
    const joined = new Uint8Array([...encodeMatrix(first), ...encodeMatrix(second)]);
    const [a, b] = decodeHistograms(joined.buffer);
    expect([...a!.counts]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([...a!.step]).toEqual([1, 2]);
    expect([...a!.nan!]).toEqual([0, 7]);
    expect([a!.bins, a!.level, a!.version, a!.positiveInf]).toEqual([3, 3, 2, null]);
    expect([b!.metric, b!.length, b!.bins, b!.labels]).toEqual(["v", 0, 5, []]);
  });

  it("are refused when they are cut, wherever", () => {
    const whole = encodeMatrix(first);
    for (let cut = 1; cut < whole.length; cut += 3)
      expect(() => decodeHistograms(whole.slice(0, cut).buffer)).toThrow(FrameError);
  });

  it("are refused when they hold something else", () => {
    const other = encodeMatrix(first);
    const text = new TextDecoder().decode(other).replace('"histograms"', '"elsewhere!"');
    expect(text).toContain("elsewhere");
    const wrong = new Uint8Array(other);
    wrong.set(new TextEncoder().encode('"elsewhere!"'), text.indexOf('"elsewhere!"'));
    expect(() => decodeHistograms(wrong.buffer)).toThrow("not a frame of histograms");
  });
});
