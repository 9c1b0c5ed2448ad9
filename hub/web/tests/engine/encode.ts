/** Writes series frames as the hub does, for tests. */
import { FRAME_MAGIC, FrameReader, type SeriesFrame } from "../../src/engine/frames.js";

type Values = readonly number[];

export interface SeriesSpec {
  run_id: string;
  label?: string;
  version?: number;
  tail?: boolean;
  base?: number;
  columns: Record<string, readonly [Values, "u2" | "u4" | "u8" | "f4" | "f8"]>;
}

const ARRAYS = { u2: Uint16Array, u4: Uint32Array, f4: Float32Array, f8: Float64Array };

export function encodeFrame(
  header: Record<string, unknown>,
  series: readonly SeriesSpec[] = [],
): Uint8Array {
  const body: number[] = [];
  const described = series.map(({ columns, ...rest }) => {
    const offsets: Record<string, unknown> = {};
    let n = 0;
    for (const [name, [values, type]] of Object.entries(columns)) {
      n = values.length;
      offsets[name] = [body.length, type];
      const array = type === "u8" ? BigUint64Array.from(values, BigInt) : ARRAYS[type].from(values);
      body.push(...new Uint8Array(array.buffer));
      while (body.length % 8 !== 0) body.push(0);
    }
    return { n, tail: false, label: "", version: n, ...rest, columns: offsets };
  });
  const full = {
    v: 1,
    item: 0,
    metric: "loss",
    x: "step",
    level: 0,
    width: 1,
    points: 0,
    series: described,
    ...header,
  };
  let text = new TextEncoder().encode(JSON.stringify(full));
  const padded = new Uint8Array(Math.ceil(text.length / 8) * 8).fill(32);
  padded.set(text);
  text = padded;
  const bytes = new Uint8Array(16 + text.length + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, FRAME_MAGIC, true);
  view.setUint32(4, text.length, true);
  view.setUint32(8, body.length, true);
  bytes.set(text, 16);
  bytes.set(body, 16 + text.length);
  return bytes;
}

/** Columns of buckets of single points: bucket i holds values[i]. */
export function pointColumns(buckets: Values, values: Values): SeriesSpec["columns"] {
  return {
    bucket: [buckets, "u4"],
    count: [values.map(() => 1), "u4"],
    min: [values, "f8"],
    max: [values, "f8"],
    mean: [values, "f8"],
    first: [values, "f8"],
    last: [values, "f8"],
  };
}

/** Numbers in [0, 1) that are the same in every run of the tests. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** All frames of a whole answer. */
export function decodeFrames(bytes: Uint8Array): SeriesFrame[] {
  const reader = new FrameReader();
  const frames = reader.push(bytes);
  reader.end();
  return frames;
}
