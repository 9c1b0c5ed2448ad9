/** Histogram matrices for tests, and their frames. */
import { FRAME_MAGIC } from "../../src/engine/frames.js";
import type { HistogramMatrix } from "../../src/engine/histogramFrames.js";

export function matrixOf(
  steps: readonly number[],
  rows: readonly (readonly number[])[],
  more: Partial<HistogramMatrix> = {},
): HistogramMatrix {
  const total = rows.map((row) => row.reduce((a, b) => a + b, 0));
  return {
    metric: "w",
    runId: "run",
    labels: [""],
    label: "",
    version: steps.length,
    stepCount: steps.length,
    level: 0,
    length: steps.length,
    bins: rows[0]?.length ?? 1,
    low: 0,
    high: 1,
    step: Float64Array.from(steps),
    counts: Float32Array.from(rows.flat()),
    total: Float64Array.from(total),
    ownLow: Float64Array.from(steps, () => 0),
    ownHigh: Float64Array.from(steps, () => 1),
    nan: null,
    positiveInf: null,
    negativeInf: null,
    ...more,
  };
}

/** A frame as the hub packs it. */
export function encodeMatrix(matrix: HistogramMatrix): Uint8Array<ArrayBuffer> {
  const columns: Record<string, [number, string]> = {};
  const parts: Uint8Array[] = [];
  let size = 0;
  const add = (name: string, values: ArrayLike<number> | null, type: "f4" | "f8") => {
    if (values === null) return;
    const typed = type === "f4" ? Float32Array.from(values) : Float64Array.from(values);
    const bytes = new Uint8Array(Math.ceil(typed.byteLength / 8) * 8);
    bytes.set(new Uint8Array(typed.buffer));
    columns[name] = [size, type];
    parts.push(bytes);
    size += bytes.length;
  };
  add("step", matrix.step, "f8");
  add("counts", matrix.counts, "f4");
  add("total", matrix.total, "f8");
  add("own_low", matrix.ownLow, "f8");
  add("own_high", matrix.ownHigh, "f4");
  add("nan", matrix.nan, "f8");
  const header = {
    ...{ v: 1, item: 0, kind: "histograms", metric: matrix.metric, run_id: matrix.runId },
    ...{ labels: matrix.labels, label: matrix.label, version: matrix.version },
    ...{ steps: matrix.stepCount, level: matrix.level, n: matrix.length, bins: matrix.bins },
    ...{ low: matrix.low, high: matrix.high, columns },
  };
  let text = JSON.stringify(header);
  text += " ".repeat((8 - (text.length % 8)) % 8);
  const frame = new Uint8Array(16 + text.length + size);
  const view = new DataView(frame.buffer);
  [FRAME_MAGIC, text.length, size, 0].forEach((word, i) => view.setUint32(4 * i, word, true));
  frame.set(new TextEncoder().encode(text), 16);
  let at = 16 + text.length;
  for (const part of parts) {
    frame.set(part, at);
    at += part.length;
  }
  return frame;
}
