/** What is missing from a run: points that were dropped, and ranges that never arrived. */
import type { Gap, RunDetail } from "../../api/types.js";
import { formatAmount, formatCount, formatMoment } from "../../parts/format.js";
import { Failure } from "../../parts/Notice.js";
import type { Resource } from "../../state/resource.js";

const SHOWN_MAX = 50;

export function Gaps({ run, gaps }: { run: RunDetail; gaps: Resource<{ gaps: readonly Gap[] }> }) {
  if (run.gap_count === 0 && run.dropped_points === 0) return null;
  const found = gaps.data.value?.gaps ?? [];
  return (
    <section class="card warning" aria-label="Missing">
      <header class="card-head">
        <h2>Missing</h2>
        <span class="fact">
          {run.dropped_points > 0 && `${formatAmount(run.dropped_points, "point")} dropped`}
        </span>
      </header>
      {gaps.error.value && (
        <Failure what="The gaps could not be read" error={gaps.error.value} onRetry={() => void gaps.load()} />
      )}
      {found.length > 0 && (
        <ul class="gaps">
          {found.slice(0, SHOWN_MAX).map((gap, at) => (
            <li key={at}>
              <span>{describeGap(gap)}</span>
              <span class="fact">{`${gap.reason} · ${formatMoment(gap.time)}`}</span>
            </li>
          ))}
          {found.length > SHOWN_MAX && <li class="fact">{`and ${formatCount(found.length - SHOWN_MAX)} more`}</li>}
        </ul>
      )}
    </section>
  );
}

function describeGap(gap: Gap): string {
  const amount =
    gap.points > 0 ? formatAmount(gap.points, "point") : gap.rows > 0 ? formatAmount(gap.rows, "row") : "An unknown number of rows";
  const isRange = gap.last_step >= gap.first_step && gap.rows + gap.points > 0;
  const steps = isRange ? `, steps ${formatCount(gap.first_step)} to ${formatCount(gap.last_step)}` : "";
  return `${gap.label === "" ? "" : `${gap.label}: `}${amount}${steps}`;
}
