/** A chart as a table: for screen readers, and to copy from. */
import { nearestIndex } from "../engine/buckets.js";
import { formatX, formatValue } from "../engine/format.js";
import type { BucketSeries } from "../engine/frames.js";
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
  const note = tableNote({ every, count, isSmoothed });
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
          {rows.map(({ x, values }) => (
            <tr key={x}>
              <th scope="row">{formatX(x, xUnit)}</th>
              {values.map((value, at) => (
                <td key={at} class="number">
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

export interface TableRows {
  rows: { x: number; values: (number | null)[] }[];
  /** 3: every third of the `count` rows is in `rows`. 1: all are. */
  every: number;
  count: number;
}

/**
 * Means at the x of the longest series, evenly thinned; null where a series has no bucket. A bucket
 * of +Inf alone, or of -Inf alone, has that; one of NaN, or of both, has NaN.
 */
export function tableRows(
  series: readonly ChartSeries[],
  zoom: readonly [number, number] | null,
): TableRows {
  const longest = series.reduce<ChartSeries | null>(
    (most, one) => (most === null || one.data.length > most.data.length ? one : most),
    null,
  );
  if (longest === null) return { rows: [], every: 1, count: 0 };
  const all = [...longest.data.lastX].filter(
    (x) => zoom === null || (x >= zoom[0] && x <= zoom[1]),
  );
  const every = Math.max(1, Math.ceil((all.length * (series.length + 1)) / CELLS_MAX));
  const rows = all
    .filter((_, at) => at % every === 0 || at === all.length - 1)
    .map((x) => ({
      x,
      values: series.map(({ data }) => meanNear(data, x)),
    }));
  return { rows, every, count: all.length };
}

/** How the rows differ from the lines of the chart; "" if they do not. */
export function tableNote(
  { every, count, isSmoothed }: { every: number; count: number; isSmoothed: boolean },
): string {
  const parts = [];
  if (every > 1) parts.push(`every ${ordinal(every)} of ${formatCount(count)} rows; zoom in to see all`);
  if (isSmoothed) parts.push("values are not smoothed");
  return parts.join(" · ");
}

function ordinal(count: number): string {
  const tens = count % 100;
  const ending = tens > 10 && tens < 14 ? "th" : (["th", "st", "nd", "rd"][count % 10] ?? "th");
  return `${count}${ending}`;
}

function meanNear(data: BucketSeries, x: number): number | null {
  const at = nearestIndex(data.lastX, x);
  if (at < 0 || Math.abs(data.lastX[at]! - x) > data.width) return null;
  return orInfinity(data.mean[at]!, data, at);
}
