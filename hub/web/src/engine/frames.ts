/**
 * Series frames: the binary answer that carries buckets.
 *
 *   frame := u32 magic "SWF1" | u32 header bytes | u32 body bytes | u32 0 | header JSON | columns
 *
 * All numbers are little endian. The header is padded with spaces to 8 bytes, each column starts
 * on 8 bytes, so a column is read in place, without a copy. No I/O here: bytes in, frames out.
 */

export const FRAME_MAGIC = 0x31465753;
export const PREFIX_BYTES = 16;
const HEADER_BYTES_MAX = 64 * 1024 * 1024;
const BODY_BYTES_MAX = 512 * 1024 * 1024;

export type Column = Float32Array | Float64Array | Uint16Array | Uint32Array;

/** Buckets of one series, oldest first. A band of a group has the same shape. */
export interface BucketSeries {
  readonly runId: string;
  readonly label: string;
  readonly host: string;
  readonly group: string;
  /** Changes whenever a point arrives. */
  readonly version: number;
  readonly level: number;
  /** Width of a bucket in the unit of x. */
  readonly width: number;
  /** True: only the buckets from the asked tail on. */
  readonly tail: boolean;
  readonly length: number;
  /** Index of each bucket; its range of x starts at `bucket * width`. */
  readonly bucket: Float64Array;
  /** Points, finite or not. */
  readonly count: Column;
  /** Of the finite points; NaN where there is none. */
  readonly min: Column;
  readonly max: Column;
  readonly mean: Column;
  readonly first: Column;
  readonly last: Column;
  /** x of the first and of the last point of each bucket. */
  readonly firstX: Float64Array;
  readonly lastX: Float64Array;
  readonly nan: Column | null;
  readonly positiveInf: Column | null;
  readonly negativeInf: Column | null;
  /** Groups only: standard deviation, and number of runs with a finite value, per bucket. */
  readonly std: Column | null;
  readonly runCount: Column | null;
  /** Over a metric only: the value of each bucket's point with the highest step, and this step. */
  readonly newest?: Column | null;
  readonly newestStep?: Column | null;
}

export interface ItemError {
  readonly code: string;
  readonly message: string;
}

/** The answer to one item of a request. */
export interface SeriesFrame {
  readonly item: number;
  readonly metric: string;
  readonly x: string;
  readonly level: number;
  readonly width: number;
  /** Points behind the buckets. */
  readonly points: number;
  readonly series: readonly BucketSeries[];
  readonly error: ItemError | null;
}

/** The bytes are not frames. */
export class FrameError extends Error {
  override name = "FrameError";
}

type Json = Record<string, unknown>;

const READERS: Record<
  string,
  { bytes: number; read: (b: ArrayBuffer, o: number, n: number) => Column }
> = {
  u2: { bytes: 2, read: (b, o, n) => new Uint16Array(b, o, n) },
  u4: { bytes: 4, read: (b, o, n) => new Uint32Array(b, o, n) },
  u8: { bytes: 8, read: (b, o, n) => Float64Array.from(new BigUint64Array(b, o, n), Number) },
  i8: { bytes: 8, read: (b, o, n) => Float64Array.from(new BigInt64Array(b, o, n), Number) },
  f4: { bytes: 4, read: (b, o, n) => new Float32Array(b, o, n) },
  f8: { bytes: 8, read: (b, o, n) => new Float64Array(b, o, n) },
};

/** Collects the chunks of an answer and gives out each frame once it is whole. */
export class FrameReader {
  private pending: Uint8Array[] = [];
  private pendingBytes = 0;

  /** Frames that this chunk completes, in order. Throws FrameError on anything else. */
  push(chunk: Uint8Array): SeriesFrame[] {
    if (chunk.length > 0) {
      this.pending.push(chunk);
      this.pendingBytes += chunk.length;
    }
    const frames: SeriesFrame[] = [];
    for (;;) {
      if (this.pendingBytes < PREFIX_BYTES) return frames;
      const { headerBytes, bodyBytes } = readPrefix(this.peek(PREFIX_BYTES));
      const frameBytes = PREFIX_BYTES + headerBytes + bodyBytes;
      if (this.pendingBytes < frameBytes) return frames;
      frames.push(decodeFrame(this.take(frameBytes), headerBytes, bodyBytes));
    }
  }

  /** Throws FrameError when the answer ended inside a frame. */
  end(): void {
    if (this.pendingBytes > 0) {
      throw new FrameError(
        `the answer ends inside a frame, ${this.pendingBytes} bytes of it arrived`,
      );
    }
  }

  private peek(bytes: number): Uint8Array {
    const head = this.pending[0]!;
    if (head.length >= bytes) return head;
    const joined = concat(this.pending, this.pendingBytes);
    this.pending = [joined];
    return joined;
  }

  /** The first `bytes` bytes in a buffer of their own, which makes every column aligned. */
  private take(bytes: number): Uint8Array<ArrayBuffer> {
    const taken = new Uint8Array(bytes);
    let filled = 0;
    while (filled < bytes) {
      const head = this.pending[0]!;
      const part = head.subarray(0, Math.min(head.length, bytes - filled));
      taken.set(part, filled);
      filled += part.length;
      if (part.length === head.length) this.pending.shift();
      else this.pending[0] = head.subarray(part.length);
    }
    this.pendingBytes -= bytes;
    return taken;
  }
}

function concat(parts: readonly Uint8Array[], total: number): Uint8Array {
  const joined = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

export function readPrefix(bytes: Uint8Array): { headerBytes: number; bodyBytes: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, PREFIX_BYTES);
  const magic = view.getUint32(0, true);
  if (magic !== FRAME_MAGIC) {
    throw new FrameError(
      `not a series frame: magic is 0x${magic.toString(16)}, not 0x${FRAME_MAGIC.toString(16)}`,
    );
  }
  const headerBytes = view.getUint32(4, true);
  const bodyBytes = view.getUint32(8, true);
  if (headerBytes % 8 !== 0 || headerBytes === 0 || headerBytes > HEADER_BYTES_MAX) {
    throw new FrameError(
      `header of ${headerBytes} bytes: not a multiple of 8 from 8 to ${HEADER_BYTES_MAX}`,
    );
  }
  if (bodyBytes > BODY_BYTES_MAX)
    throw new FrameError(`body of ${bodyBytes} bytes is more than ${BODY_BYTES_MAX}`);
  return { headerBytes, bodyBytes };
}

function decodeFrame(
  bytes: Uint8Array<ArrayBuffer>,
  headerBytes: number,
  bodyBytes: number,
): SeriesFrame {
  const header = parseHeader(bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + headerBytes));
  const item = integer(header, "item");
  if (header.error !== undefined && header.error !== null) {
    const error = object(header.error, "error");
    return {
      item,
      metric: text(header, "metric"),
      x: text(header, "x"),
      level: 0,
      width: 1,
      points: 0,
      series: [],
      error: { code: text(error, "code"), message: text(error, "message") },
    };
  }
  if (header.v !== 1)
    throw new FrameError(`frame version ${String(header.v)} is unknown, reload the page`);
  const level = integer(header, "level");
  const width = number(header, "width");
  if (!(width > 0)) throw new FrameError(`bucket width ${width} is not positive`);
  if (!Array.isArray(header.series)) throw new FrameError('header has no list "series"');
  const body = { buffer: bytes.buffer, start: PREFIX_BYTES + headerBytes, bytes: bodyBytes };
  const series = header.series.map((one: unknown) =>
    decodeSeries(object(one, "series"), { level, width }, body),
  );
  const points = header.points === undefined ? 0 : number(header, "points");
  return {
    item,
    metric: text(header, "metric"),
    x: text(header, "x"),
    level,
    width,
    points,
    series,
    error: null,
  };
}

export interface Body {
  readonly buffer: ArrayBuffer;
  readonly start: number;
  readonly bytes: number;
}

function decodeSeries(
  header: Json,
  of: { level: number; width: number },
  body: Body,
): BucketSeries {
  const length = integer(header, "n");
  if (length < 0) throw new FrameError(`a series has ${length} buckets`);
  const columns = object(header.columns ?? {}, "columns");
  const optional = (name: string): Column | null =>
    columns[name] === undefined ? null : readColumn(columns[name], name, length, body);
  const required = (name: string): Column => {
    const column = optional(name);
    if (column === null) throw new FrameError(`a series has no column "${name}"`);
    return column;
  };
  const base = header.base === undefined ? 0 : number(header, "base");
  const relative = required("bucket");
  const bucket = new Float64Array(length);
  for (let i = 0; i < length; i++) bucket[i] = base + relative[i]!;
  for (let i = 1; i < length; i++) {
    if (!(bucket[i]! > bucket[i - 1]!))
      throw new FrameError(`bucket ${i} of a series is not after its predecessor`);
  }
  const mean = required("mean");
  const firstX = optional("first_x");
  const lastX = optional("last_x");
  const fallback = firstX !== null && lastX !== null ? null : centres(bucket, of);
  return {
    runId: text(header, "run_id"),
    label: text(header, "label"),
    host: text(header, "host"),
    group: text(header, "group"),
    version: header.version === undefined ? 0 : number(header, "version"),
    level: of.level,
    width: of.width,
    tail: header.tail === true,
    length,
    bucket,
    count: required("count"),
    min: required("min"),
    max: required("max"),
    mean,
    first: optional("first") ?? mean,
    last: optional("last") ?? mean,
    firstX: (firstX as Float64Array | null) ?? fallback!,
    lastX: (lastX as Float64Array | null) ?? fallback!,
    nan: optional("nan"),
    positiveInf: optional("positive_inf"),
    negativeInf: optional("negative_inf"),
    std: optional("std"),
    runCount: optional("run_count"),
    newest: optional("newest"),
    newestStep: optional("newest_step"),
  };
}

/** Without positions of points: the bucket's own x for single steps, else its middle. */
function centres(bucket: Float64Array, of: { level: number; width: number }): Float64Array {
  if (of.width === 1) return bucket;
  return bucket.map((index) => (index + 0.5) * of.width);
}

export function readColumn(entry: unknown, name: string, length: number, body: Body): Column {
  if (!Array.isArray(entry) || entry.length !== 2)
    throw new FrameError(`column "${name}" is not [offset, type]`);
  const [offset, type] = entry as [unknown, unknown];
  const reader =
    typeof type === "string" && Object.hasOwn(READERS, type) ? READERS[type] : undefined;
  if (reader === undefined)
    throw new FrameError(`column "${name}" has the unknown type ${String(type)}`);
  if (typeof offset !== "number" || !Number.isInteger(offset) || offset < 0 || offset % 8 !== 0) {
    throw new FrameError(`column "${name}" starts at ${String(offset)}, not at a multiple of 8`);
  }
  if (offset + length * reader.bytes > body.bytes) {
    throw new FrameError(
      `column "${name}" ends at byte ${offset + length * reader.bytes} of ${body.bytes}`,
    );
  }
  return reader.read(body.buffer, body.start + offset, length);
}

export function parseHeader(bytes: Uint8Array): Json {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (reason) {
    throw new FrameError(`header is not JSON: ${String(reason)}`);
  }
  return object(parsed, "header");
}

export function object(value: unknown, what: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new FrameError(`${what} is not an object`);
  return value as Json;
}

export function number(of: Json, name: string): number {
  const value = of[name];
  if (typeof value !== "number" || !Number.isFinite(value))
    throw new FrameError(`"${name}" is ${String(value)}, not a number`);
  return value;
}

export function integer(of: Json, name: string): number {
  const value = number(of, name);
  if (!Number.isSafeInteger(value)) throw new FrameError(`"${name}" is ${value}, not an integer`);
  return value;
}

export function text(of: Json, name: string): string {
  const value = of[name];
  if (value === undefined || value === null) return "";
  if (typeof value !== "string") throw new FrameError(`"${name}" is not a text`);
  return value;
}
