/**
 * Histogram frames: histograms of one metric over steps, as one matrix on one grid of bins.
 *
 * They lie in the same container as series frames. Bytes in, matrices out; no I/O here.
 */
import {
  type Column,
  FrameError,
  integer,
  number,
  object,
  parseHeader,
  PREFIX_BYTES,
  readColumn,
  readPrefix,
  text,
} from "./frames.js";

export interface HistogramMatrix {
  readonly metric: string;
  readonly runId: string;
  /** The writers that logged some, and the one of this matrix. */
  readonly labels: readonly string[];
  readonly label: string;
  /** Another number means that histograms were added. */
  readonly version: number;
  /** Steps that have a histogram, also those that were left out. */
  readonly stepCount: number;
  /** Each row is the last of 2^level steps. */
  readonly level: number;
  readonly length: number;
  readonly bins: number;
  /** First and last edge of the grid. */
  readonly low: number;
  readonly high: number;
  readonly step: Column;
  /** `bins` counts a row, row by row. */
  readonly counts: Column;
  /** Values in all bins of each row. */
  readonly total: Column;
  readonly ownLow: Column;
  readonly ownHigh: Column;
  readonly nan: Column | null;
  readonly positiveInf: Column | null;
  readonly negativeInf: Column | null;
}

/** The matrices of a whole answer, in the order asked for. Throws FrameError. */
export function decodeHistograms(data: ArrayBuffer): HistogramMatrix[] {
  const found: HistogramMatrix[] = [];
  let start = 0;
  while (start < data.byteLength) {
    if (start + PREFIX_BYTES > data.byteLength)
      throw new FrameError(`the answer ends inside the frame at byte ${start}`);
    const { headerBytes, bodyBytes } = readPrefix(new Uint8Array(data, start, PREFIX_BYTES));
    const end = start + PREFIX_BYTES + headerBytes + bodyBytes;
    if (end > data.byteLength)
      throw new FrameError(`the answer ends inside the frame at byte ${start}`);
    found.push(decodeMatrix(data, start, headerBytes, bodyBytes));
    start = end;
  }
  return found;
}

function decodeMatrix(
  data: ArrayBuffer,
  start: number,
  headerBytes: number,
  bodyBytes: number,
): HistogramMatrix {
  const header = parseHeader(new Uint8Array(data, start + PREFIX_BYTES, headerBytes));
  if (header["v"] !== 1 || header["kind"] !== "histograms")
    throw new FrameError("not a frame of histograms, reload the page");
  const body = { buffer: data, start: start + PREFIX_BYTES + headerBytes, bytes: bodyBytes };
  const columns = object(header["columns"], "columns");
  const length = integer(header, "n");
  const bins = integer(header, "bins");
  if (length < 0 || bins < 1) throw new FrameError(`${length} histograms of ${bins} bins`);
  const optional = (name: string) =>
    columns[name] === undefined ? null : readColumn(columns[name], name, length, body);
  const required = (name: string, size = length) =>
    readColumn(columns[name], name, size, body);
  const labels = header["labels"];
  if (!Array.isArray(labels)) throw new FrameError('header has no list "labels"');
  return {
    metric: text(header, "metric"),
    runId: text(header, "run_id"),
    labels: labels.map(String),
    label: text(header, "label"),
    version: number(header, "version"),
    stepCount: integer(header, "steps"),
    level: integer(header, "level"),
    length,
    bins,
    low: number(header, "low"),
    high: number(header, "high"),
    step: required("step"),
    counts: required("counts", length * bins),
    total: required("total"),
    ownLow: required("own_low"),
    ownHigh: required("own_high"),
    nan: optional("nan"),
    positiveInf: optional("positive_inf"),
    negativeInf: optional("negative_inf"),
  };
}
