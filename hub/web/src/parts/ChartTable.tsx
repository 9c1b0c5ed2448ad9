/** A chart as a table: for screen readers, and to copy from. */
import { rangeOfX } from "../engine/buckets.js";
import { formatX, formatValue } from "../engine/format.js";
import type { ChartSeries } from "../engine/lines.js";
import { orInfinity } from "../engine/marks.js";
import type { AxisUnit } from "../engine/scales.js";
import { formatCount } from "./format.js";

/** The cells of all rows, so that a table of a live chart is cheap to draw again. */
const CELLS_MAX = 4000;
const COLUMNS_MAX = 20;

interface ChartTableProps {
  series: readonly ChartSeries[];
  xUnit: AxisUnit;
  xName: string;
  zoom: readonly [number, number] | null;
  /** The lines of the chart are smoothed; the values here are not. */
  isSmoothed: boolean;
}

export function ChartTable({ series, xUnit, xName, zoom, isSmoothed }: ChartTableProps) {
  const shown = series.slice(0, COLUMNS_MAX);
  const { rows, every, count } = tableRows(shown, zoom);
  const areMeans = rows.some(({ from, x }) => from < x);
  const note = tableNote({ every, count, isSmoothed, areMeans });
  const hidden = series.length - shown.length;
  return (
    <div class="chart-table" tabIndex={0} role="group" aria-label="Values">
      {note !== "" && <p class="chart-table-note">{note}</p>}
      <table class="rows">
        <thead>
          <tr>
            <th scope="col">{xName}</th>
            {shown.map(({ id, name }) => (
              <th key={id} scope="col" class="number">
                {name}
              </th>
            ))}
            {hidden > 0 && <th scope="col">{`${hidden} more`}</th>}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ from, x, values }) => (
            <tr key={x}>
              <th scope="row">{rangeText(formatX(from, xUnit), formatX(x, xUnit))}</th>
              {values.map((value, at) => (
                <td key={at} class="number" title={value === null ? undefined : String(value)}>
                  {value === null ? "" : formatValue(value)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function rangeText(low: string, high: string): string {
  return low === high ? low : `${low} … ${high}`;
}

export interface TableRows {
  /** `from` and `x`: of the first and the last point in the buckets of the row. */
  rows: { from: number; x: number; values: (number | null)[] }[];
  /** 3: every third of the `count` rows is in `rows`. 1: all are. */
  every: number;
  count: number;
}

/**
 * Means of the buckets that any series has, evenly thinned; null where a series has no such bucket.
 * A bucket of +Inf alone, or of -Inf alone, has that; one of NaN, or of both, has NaN.
 */
export function tableRows(
  series: readonly ChartSeries[],
  zoom: readonly [number, number] | null,
): TableRows {
  const width = series.reduce((most, { data }) => Math.max(most, data.width), 0);
  const byBucket = new Map<number, { from: number; x: number; at: number[] }>();
  series.forEach(({ data }, column) => {
    for (let i = 0; i < data.length; i++) {
      // Series that were read at different levels have buckets of different widths.
      const same = data.width === width;
      const bucket = same ? data.bucket[i]! : Math.floor((data.bucket[i]! * data.width) / width);
      const [low, high] = rangeOfX(data, i);
      const row = byBucket.get(bucket) ?? { from: low, x: high, at: [] };
      row.from = Math.min(row.from, low);
      row.x = Math.max(row.x, high);
      row.at[column] = i;
      byBucket.set(bucket, row);
    }
  });
  const all = [...byBucket.values()]
    .filter(({ x }) => zoom === null || (x >= zoom[0] && x <= zoom[1]))
    .sort((a, b) => a.x - b.x);
  const every = Math.max(1, Math.ceil((all.length * (series.length + 1)) / CELLS_MAX));
  const rows = all
    .filter((_, at) => at % every === 0 || at === all.length - 1)
    .map(({ from, x, at }) => ({
      from,
      x,
      values: series.map(({ data }, column) => {
        const i = at[column];
        return i === undefined ? null : orInfinity(data.mean[i]!, data, i);
      }),
    }));
  return { rows, every, count: all.length };
}

/** How the rows differ from the lines of the chart; "" if they do not. */
export function tableNote(
  { every, count, isSmoothed, areMeans }: { every: number; count: number; isSmoothed: boolean; areMeans: boolean },
): string {
  const parts = [];
  if (every > 1) parts.push(`every ${ordinal(every)} of ${formatCount(count)} rows; zoom in to see all`);
  if (areMeans) parts.push("each value is the mean of the points in its row");
  if (isSmoothed) parts.push("values are not smoothed");
  return parts.join(" · ");
}

function ordinal(count: number): string {
  const tens = count % 100;
  const ending = tens > 10 && tens < 14 ? "th" : (["th", "st", "nd", "rd"][count % 10] ?? "th");
  return `${count}${ending}`;
}
