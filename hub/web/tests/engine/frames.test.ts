import { describe, expect, it } from "vitest";

import { FrameError, FrameReader } from "../../src/engine/frames.js";
import { decodeFrames, encodeFrame, pointColumns, random } from "./encode.js";

const TWO_SERIES = encodeFrame({ item: 3, metric: "train/loss", level: 3, width: 8, points: 40 }, [
  {
    run_id: "a",
    label: "rank1",
    version: 7,
    base: 1000,
    columns: {
      ...pointColumns([0, 2, 5], [0.5, 0.25, Number.NaN]),
      first_x: [[8000, 8016, 8040], "f8"],
      last_x: [[8007, 8023, 8041], "f8"],
      nan: [[0, 0, 4], "u4"],
    },
  },
  { run_id: "b", columns: pointColumns([1], [2 ** 53]) },
]);

describe("series frames", () => {
  it("are decoded column by column", () => {
    const [frame] = decodeFrames(TWO_SERIES);
    expect(frame).toMatchObject({
      item: 3,
      metric: "train/loss",
      level: 3,
      width: 8,
      points: 40,
      error: null,
    });
    const [a, b] = frame!.series;
    expect(a).toMatchObject({ runId: "a", label: "rank1", version: 7, length: 3, tail: false });
    expect([...a!.bucket]).toEqual([1000, 1002, 1005]);
    expect([...a!.mean]).toEqual([0.5, 0.25, Number.NaN]);
    expect([...a!.lastX]).toEqual([8007, 8023, 8041]);
    expect([...a!.nan!]).toEqual([0, 0, 4]);
    expect(a!.positiveInf).toBeNull();
    expect([...b!.mean]).toEqual([2 ** 53]);
  });

  it("have the bucket itself as x where single steps are buckets", () => {
    const [frame] = decodeFrames(
      encodeFrame({}, [{ run_id: "a", base: 5, columns: pointColumns([0, 9], [1, 2]) }]),
    );
    expect([...frame!.series[0]!.firstX]).toEqual([5, 14]);
  });

  it("carry the failure of an item", () => {
    const [frame] = decodeFrames(
      encodeFrame({ item: 1, error: { code: "query_timeout", message: "too slow" } }),
    );
    expect(frame!.error).toEqual({ code: "query_timeout", message: "too slow" });
    expect(frame!.series).toEqual([]);
  });

  it("come out of any cutting into chunks", () => {
    const two = new Uint8Array([...TWO_SERIES, ...encodeFrame({ item: 4 })]);
    for (let cut = 0; cut <= two.length; cut++) {
      const reader = new FrameReader();
      const frames = [...reader.push(two.subarray(0, cut)), ...reader.push(two.subarray(cut))];
      reader.end();
      expect(frames.map((frame) => frame.item)).toEqual([3, 4]);
    }
    const reader = new FrameReader();
    expect([...two].flatMap((byte) => reader.push(Uint8Array.of(byte))).length).toBe(2);
  });

  it("cut short are refused at the end, at every byte", () => {
    for (let cut = 1; cut < TWO_SERIES.length; cut++) {
      const reader = new FrameReader();
      expect(reader.push(TWO_SERIES.subarray(0, cut))).toEqual([]);
      expect(() => reader.end()).toThrow(FrameError);
    }
  });

  it.each([
    [{ v: 2 }, /version 2/],
    [{ width: 0 }, /width/],
    [{ level: 0.5 }, /level/],
    [{ series: [{ run_id: "a", n: -1, columns: {} }] }, /-1 buckets/],
    [{ series: [{ run_id: "a", n: 1, columns: { bucket: [4, "u4"] } }] }, /multiple of 8/],
    [{ series: [{ run_id: "a", n: 1, columns: { bucket: [0, "x9"] } }] }, /unknown type/],
    [{ series: [{ run_id: "a", n: 9, columns: { bucket: [0, "u4"] } }] }, /ends at byte 36 of 0/],
    [{ series: [{ run_id: "a", n: 0, columns: {} }] }, /no column "bucket"/],
  ])("with the header %j are refused", (header, message) => {
    expect(() => decodeFrames(encodeFrame(header))).toThrow(message);
  });

  it("whose buckets go back are refused", () => {
    const bytes = encodeFrame({}, [{ run_id: "a", columns: pointColumns([4, 4], [1, 2]) }]);
    expect(() => decodeFrames(bytes)).toThrow(/not after/);
  });

  it("with damaged bytes are refused or decoded, never anything else", () => {
    const next = random(20261126);
    let refused = 0;
    for (let round = 0; round < 3000; round++) {
      const bytes = TWO_SERIES.slice();
      for (let flips = 1 + Math.floor(next() * 3); flips > 0; flips--) {
        // Most of the meaning is in prefix and header, so that is where most flips go.
        const reach = next() < 0.8 ? Math.min(bytes.length, 500) : bytes.length;
        bytes[Math.floor(next() * reach)]! ^= 1 << Math.floor(next() * 8);
      }
      try {
        for (const frame of decodeFrames(bytes)) {
          for (const series of frame.series) expect(series.mean.length).toBe(series.length);
        }
      } catch (reason) {
        refused++;
        expect(reason).toBeInstanceOf(FrameError);
      }
    }
    expect(refused).toBeGreaterThan(1000);
  });
});
