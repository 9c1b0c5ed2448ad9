/** The read-out of a chart: the lines at the cursor, nearest first; spoken for keyboard users. */
import type { Signal } from "@preact/signals";

import { rangeOfX } from "../engine/buckets.js";
import { formatX } from "../engine/format.js";
import type { Hit } from "../engine/hit.js";
import type { AxisUnit } from "../engine/scales.js";
import { formatAmount } from "./format.js";

const TOOLTIP_LINES = 8;
/** A line so near to the pointer is the one that is meant. */
export const HIGHLIGHT_PIXELS = 14;
const NARROW_PIXELS = 420;

export interface Readout {
  readonly hits: readonly Hit[];
  readonly x: number;
  /** CSS pixels in the chart. */
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly isKeyboard: boolean;
}

interface ReadoutProps {
  readout: Signal<Readout | null>;
  xUnit: AxisUnit;
  xName: string;
  formatY: (value: number) => string;
}

export function ChartReadout({ readout, xUnit, xName, formatY }: ReadoutProps) {
  const now = readout.value;
  const shown = now?.hits.slice(0, TOOLTIP_LINES) ?? [];
  const at = now === null ? "" : `${xName} ${shown[0] === undefined ? formatX(now.x, xUnit) : hitText(shown[0], xUnit)}`;
  return (
    <>
      {now !== null && shown.length > 0 && (
        <div
          class="chart-tip"
          aria-hidden="true"
          style={besideCursor(now)}
        >
          <p class="chart-tip-x">{at}</p>
          <table>
            <tbody>
              {shown.map((hit) => {
                const { line, index, value, distance } = hit;
                const elsewhere = ownX(hit, shown[0]!, xUnit);
                return (
                  <tr
                    key={line.series.id}
                    class={distance <= HIGHLIGHT_PIXELS && line === shown[0]?.line ? "near" : ""}
                  >
                    <td>
                      <span class="chart-dot" style={{ background: line.series.color }} />
                    </td>
                    <td class="chart-tip-name">{line.series.name}</td>
                    <td class="number">{formatY(value)}</td>
                    <td class="number fact">{spreadText(line.series.data, index, formatY)}</td>
                    <td class="fact">{elsewhere !== "" && `at ${elsewhere}`}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
          {now.hits.length > shown.length && (
            <p class="fact">{`${now.hits.length - shown.length} more here`}</p>
          )}
        </div>
      )}
      <p class="off-screen" aria-live="polite">
        {now?.isKeyboard === true ? spoken(at, shown, xUnit, formatY) : ""}
      </p>
    </>
  );
}

/** The x of a bucket: one moment, or the range of its points. */
export function hitText({ line, index, x }: Hit, unit: AxisUnit): string {
  if (unit !== "number") return formatX(x, unit);
  const [low, high] = rangeOfX(line.series.data, index).map((end) => formatX(end, unit));
  return low === high ? low! : `${low} … ${high}`;
}

/** The x of a hit where it is not within that of the first one, which heads the read-out; else "". */
export function ownX(hit: Hit, first: Hit, unit: AxisUnit): string {
  const own = hitText(hit, unit);
  if (own === hitText(first, unit)) return "";
  const [low, high] = rangeOfX(hit.line.series.data, hit.index);
  const [from, to] = rangeOfX(first.line.series.data, first.index);
  return from <= low && high <= to ? "" : own;
}

/** Beside the cursor, on the side with more room; at the other edge of a narrow chart. */
function besideCursor({ left, width }: Readout): { left: string } | { right: string } {
  const isRight = left > width / 2;
  if (width < NARROW_PIXELS) return isRight ? { left: "8px" } : { right: "8px" };
  return isRight ? { right: `${width - left + 14}px` } : { left: `${left + 14}px` };
}

/** Range of a bucket of several points, or N runs of a group. */
function spreadText(
  data: Hit["line"]["series"]["data"],
  index: number,
  formatY: (value: number) => string,
): string {
  if (data.runCount !== null) return formatAmount(data.runCount[index]!, "run");
  if (!(data.count[index]! > 1)) return "";
  const [low, high] = [formatY(data.min[index]!), formatY(data.max[index]!)];
  return low === high ? "" : `${low} … ${high}`;
}

function spoken(
  at: string,
  hits: readonly Hit[],
  unit: AxisUnit,
  formatY: (value: number) => string,
): string {
  const texts = hits.map((hit) => {
    const elsewhere = ownX(hit, hits[0]!, unit);
    return `${hit.line.series.name} ${formatY(hit.value)}${elsewhere && ` at ${elsewhere}`}`;
  });
  return [at, ...texts].join(", ");
}
