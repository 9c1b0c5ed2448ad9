/** A chart as a table: for screen readers, and to copy from. */
import { nearestIndex } from "../engine/buckets.js";
import { formatX, formatValue } from "../engine/format.js";
import type { BucketSeries } from "../engine/frames.js";
import type { ChartSeries } from "../engine/lines.js";
import { orInfinity } from "../engine/marks.js";
import type { AxisUnit } from "../engine/scales.js";

const ROWS_MAX = 200;
const COLUMNS_MAX = 20;

interface ChartTableProps {
  series: readonly ChartSeries[];
  xUnit: AxisUnit;
  xName: string;
  zoom: readonly [number, number] | null;
}

export function ChartTable({ series, xUnit, xName, zoom }: ChartTableProps) {
  const shown = series.slice(0, COLUMNS_MAX);
  const rows = tableRows(shown, zoom);
  const hidden = series.length - shown.length;
  return (
    <div class="chart-table" tabIndex={0} role="group" aria-label="Values">
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

/**
 * Means at the x of the longest series, evenly thinned; null where a series has no bucket. A bucket
 * of +Inf alone, or of -Inf alone, has that; one of NaN, or of both, has NaN.
 */
export function tableRows(
  series: readonly ChartSeries[],
  zoom: readonly [number, number] | null,
): { x: number; values: (number | null)[] }[] {
  const longest = series.reduce<ChartSeries | null>(
    (most, one) => (most === null || one.data.length > most.data.length ? one : most),
    null,
  );
  if (longest === null) return [];
  const all = [...longest.data.lastX].filter(
    (x) => zoom === null || (x >= zoom[0] && x <= zoom[1]),
  );
  const every = Math.max(1, Math.ceil(all.length / ROWS_MAX));
  return all
    .filter((_, at) => at % every === 0 || at === all.length - 1)
    .map((x) => ({
      x,
      values: series.map(({ data }) => meanNear(data, x)),
    }));
}

function meanNear(data: BucketSeries, x: number): number | null {
  const at = nearestIndex(data.lastX, x);
  if (at < 0 || Math.abs(data.lastX[at]! - x) > data.width) return null;
  return orInfinity(data.mean[at]!, data, at);
}
