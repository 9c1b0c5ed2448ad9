/** What a sweep is, and its best trial. */
import type { ComponentChildren } from "preact";

import type { Sweep, Trial } from "../../api/sweeps.js";
import { Age } from "../../parts/Age.js";
import { CopyButton } from "../../parts/CopyButton.js";
import { formatAmount, formatCount, formatNumber } from "../../parts/format.js";
import { pathOf } from "../../state/routes.js";
import { trialCount } from "./trials.js";

export function SweepFacts({ sweep, best }: { sweep: Sweep; best: Trial | undefined }) {
  return (
    <section class="card" aria-label="Sweep">
      <header class="card-head">
        <h2>Sweep</h2>
      </header>
      <dl class="facts">
        <Line name="Id">
          <code>{sweep.id}</code> <CopyButton what="the id" text={sweep.id} />
        </Line>
        {sweep.description !== "" && <Line name="Description">{sweep.description}</Line>}
        <Line name="Method">{sweep.method}</Line>
        <Line name="Metric">{sweep.metric ? `${sweep.metric.name}, ${sweep.metric.goal}` : "none, so there is no best trial"}</Line>
        <Line name="Best">
          <BestTrial sweep={sweep} last={best?.last ?? null} />
        </Line>
        <Line name="Trials">{countsText(sweep)}</Line>
        <Line name="Created"><Age moment={sweep.created_at} /></Line>
      </dl>
    </section>
  );
}

function Line({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** The search goes by the best value of a trial, wherever in its run that was: the last one may be worse. */
function BestTrial({ sweep: { project, best, metric }, last }: { sweep: Sweep; last: number | null }) {
  if (best === null || metric === null) return <>no value yet</>;
  const isLast = last === null || last === best.value;
  return (
    <>
      <strong title={String(best.value)}>{formatNumber(best.value)}</strong>
      <a href={pathOf({ page: "run", project, runId: best.run_id, tab: "charts" })}>{`trial ${formatCount(best.number)}`}</a>
      <span class="fact">
        {`the ${metric.goal === "minimize" ? "lowest" : "highest"} value of its run${isLast ? "" : `, whose last is ${formatNumber(last)}`}`}
      </span>
    </>
  );
}

function countsText(sweep: Sweep): string {
  const { superseded, ...states } = sweep.counts;
  const expected = sweep.expected_trials === null ? "" : ` of ${formatCount(sweep.expected_trials)}`;
  const parts = Object.entries(states).filter(([, count]) => count > 0).map(([state, count]) => `${formatCount(count)} ${state}`);
  const again = superseded === 0 ? [] : [formatAmount(superseded, "superseded attempt")];
  const deleted = sweep.deleted_runs === 0 ? [] : [`${formatAmount(sweep.deleted_runs, "run")} deleted`];
  const details = [...parts, ...again, ...deleted].join(", ");
  return `${formatCount(trialCount(sweep))}${expected}${details === "" ? "" : `: ${details}`}`;
}
