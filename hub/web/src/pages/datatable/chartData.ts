/** What a chart of a table draws: lines, bars, bins or counts of pairs, made of its rows. Pure. */
import type { Cell } from "../../api/tables.js";
import { niceStep } from "../../engine/scales.js";
import { cellName } from "../media/items.js";
import type { ChartColumn, ChartRows } from "./chartRows.js";
import { CLASSES_MAX } from "./chartSpec.js";
import { cellText, isCut, isMedium } from "./view.js";

export const SERIES_MAX = 100;
export const BARS_MAX = 500;
const BINS_MAX = 40;

export interface Series {
  readonly name: string;
  readonly x: readonly number[];
  readonly y: readonly number[];
}

/** `left`: rows that are not drawn, because they have no number. */
export interface Lines {
  readonly series: readonly Series[];
  /** Lines beyond the first ones, which are not drawn. */
  readonly more: number;
  readonly left: number;
}

export interface Bar {
  readonly label: string;
  readonly value: number;
}

export interface Bin {
  readonly low: number;
  readonly high: number;
  readonly count: number;
}

export interface Matrix {
  readonly classes: readonly string[];
  /** Row by row of the actual class; null for a pair that was not read. */
  readonly counts: readonly (number | null)[];
  /** Classes beyond the first ones, which are not drawn. */
  readonly more: number;
  readonly left: number;
}

/** A cell as a finite number; null for others. A moment is in microseconds, as axes have it. */
export function numberOf(cell: Cell): number | null {
  const value =
    typeof cell === "bigint" || typeof cell === "boolean"
      ? Number(cell)
      : cell !== null && isCutNumber(cell)
        ? Number(cell.text)
        : cell;
  if (typeof value !== "number" || !Number.isFinite(value)) return null;
  return value;
}

/** Numbers of a column of several kinds are texts with the kind beside it. */
function isCutNumber(cell: Cell): cell is { text: string; characters: number; kind: string } {
  return cell !== null && isCut(cell) && (cell.kind === "number" || cell.kind === "integer") && cell.text !== "";
}

export function textOf(cell: Cell, type: ChartColumn["type"]): string {
  if (cell === null) return "no value";
  return isMedium(cell) ? cellName(cell) : cellText(cell, type);
}

/** The lines, each with its points in the order of the rows. */
export function linesOf({ columns, read }: ChartRows): Lines {
  const { x, y, series } = columns;
  if (x === undefined || y === undefined) return { series: [], more: 0, left: read };
  const found = new Map<string, { name: string; x: number[]; y: number[] }>();
  const others = new Set<string>();
  let left = 0;
  for (let row = 0; row < read; row++) {
    const [across, up] = [numberOf(x.cells[row]!), numberOf(y.cells[row]!)];
    if (across === null || up === null) {
      left++;
      continue;
    }
    const name = series === undefined ? y.name : textOf(series.cells[row]!, series.type);
    let line = found.get(name);
    if (line === undefined) {
      if (found.size >= SERIES_MAX) {
        others.add(name);
        continue;
      }
      found.set(name, (line = { name, x: [], y: [] }));
    }
    line.x.push(across);
    line.y.push(up);
  }
  return { series: [...found.values()], more: others.size, left };
}

export function barsOf({ columns, read }: ChartRows): { bars: Bar[]; more: number; left: number } {
  const { label, value } = columns;
  if (label === undefined || value === undefined) return { bars: [], more: 0, left: read };
  const bars = value.cells.flatMap((cell, row) => {
    const size = numberOf(cell);
    return size === null ? [] : [{ label: textOf(label.cells[row]!, label.type), value: size }];
  });
  return { bars: bars.slice(0, BARS_MAX), more: Math.max(0, bars.length - BARS_MAX), left: read - bars.length };
}

/** Bins of one round width, from the lowest value to the highest. */
export function binsOf({ columns, read }: ChartRows): { bins: Bin[]; left: number } {
  const { value } = columns;
  const values = value?.cells.flatMap((cell) => numberOf(cell) ?? []) ?? [];
  const left = read - values.length;
  if (values.length === 0) return { bins: [], left };
  let [low, high] = [Infinity, -Infinity];
  for (const each of values) [low, high] = [Math.min(low, each), Math.max(high, each)];
  const wanted = Math.min(BINS_MAX, Math.max(5, Math.ceil(Math.sqrt(values.length))));
  // Halves: the difference of the largest numbers is beyond them.
  const least = (high / 2 - low / 2) / (wanted / 2);
  if (!(least > Math.max(Math.abs(low), Math.abs(high), 1e-280) * 1e-12)) return { bins: [around(low, values.length)], left };
  const areWhole = values.every(Number.isInteger);
  const width = areWhole ? Math.ceil(niceStep(least)) : niceStep(least);
  const first = Math.floor(low / width);
  const last = areWhole ? Math.floor(high / width) : Math.max(first, Math.ceil(high / width) - 1);
  const counts = new Array<number>(last - first + 1).fill(0);
  for (const each of values) {
    const at = Math.min(counts.length - 1, Math.max(0, Math.floor(each / width) - first));
    counts[at]!++;
  }
  const edge = (at: number) => Number(((first + at) * width).toPrecision(12));
  return { bins: counts.map((count, at) => ({ low: edge(at), high: edge(at + 1), count })), left };
}

/** The only bin of values that are equal. */
function around(value: number, count: number): Bin {
  const half = value === 0 ? 0.5 : Math.abs(value) * 0.05;
  return { low: value - half, high: value + half, count };
}

/** The counts of all pairs; a class is where it was first named. */
export function matrixOf({ columns, read, part }: ChartRows): Matrix {
  const { actual, predicted, count } = columns;
  if (actual === undefined || predicted === undefined || count === undefined)
    return { classes: [], counts: [], more: 0, left: read };
  const places = new Map<string, number>();
  const place = ({ cells, type }: ChartColumn, row: number) => {
    const name = textOf(cells[row]!, type);
    if (!places.has(name)) places.set(name, places.size);
    return places.get(name)!;
  };
  const pairs: [number, number, number][] = [];
  let left = 0;
  for (let row = 0; row < read; row++) {
    const many = numberOf(count.cells[row]!);
    if (many === null) left++;
    else pairs.push([place(actual, row), place(predicted, row), many]);
  }
  const classes = [...places.keys()].slice(0, CLASSES_MAX);
  const side = classes.length;
  // A pair without a row has none, unless its row may be further down the table.
  const counts = new Array<number | null>(side * side).fill(part === "first" ? null : 0);
  for (const [from, to, many] of pairs) {
    const at = from * side + to;
    if (from < side && to < side) counts[at] = (counts[at] ?? 0) + many;
  }
  return { classes, counts, more: places.size - side, left };
}
