/** Makes bucketed series out of raw points, as the store does, for tests. */
import type { BucketSeries } from "../../src/engine/frames.js";

export interface Point {
  x: number;
  value: number;
}

export function bucketed(points: readonly Point[], level: number, runId = "r1"): BucketSeries {
  const width = 2 ** level;
  const groups = new Map<number, Point[]>();
  for (const point of points) {
    const bucket = Math.floor(point.x / width);
    groups.set(bucket, [...(groups.get(bucket) ?? []), point]);
  }
  const entries = [...groups].sort(([a], [b]) => a - b);
  const column = (of: (points: Point[]) => number) =>
    Float64Array.from(entries, ([, inside]) => of(inside));
  const finite = (inside: Point[]) => inside.map((p) => p.value).filter(Number.isFinite);
  const nan = column((inside) => inside.filter((p) => Number.isNaN(p.value)).length);
  const infinite = (value: number) => {
    const counts = column((inside) => inside.filter((p) => p.value === value).length);
    return counts.some((n) => n > 0) ? counts : null;
  };
  const end = (inside: Point[], at: 0 | -1) => finite(inside).at(at) ?? Number.NaN;
  return {
    runId,
    label: "",
    host: "",
    group: "",
    version: points.length,
    level,
    width,
    tail: false,
    length: entries.length,
    bucket: Float64Array.from(entries, ([bucket]) => bucket),
    count: column((inside) => inside.length),
    min: column((inside) => Math.min(...finite(inside))),
    max: column((inside) => Math.max(...finite(inside))),
    mean: column((inside) => finite(inside).reduce((sum, v) => sum + v, 0) / finite(inside).length),
    first: column((inside) => end(inside, 0)),
    last: column((inside) => end(inside, -1)),
    firstX: column((inside) => inside[0]!.x),
    lastX: column((inside) => inside.at(-1)!.x),
    nan: nan.some((n) => n > 0) ? nan : null,
    positiveInf: infinite(Infinity),
    negativeInf: infinite(-Infinity),
    std: null,
    runCount: null,
  };
}

export function steps(values: readonly number[], every = 1): Point[] {
  return values.map((value, i) => ({ x: i * every, value }));
}
