/** What a sweep is, and its best trial with its parameters. */
import type { ComponentChildren } from "preact";

import type { Sweep, Trial } from "../../api/sweeps.js";
import { Age } from "../../parts/Age.js";
import { CopyButton } from "../../parts/CopyButton.js";
import { formatAmount, formatCount, formatNumber } from "../../parts/format.js";
import { ValueTree } from "../../parts/ValueTree.js";
import { pathOf } from "../../state/routes.js";
import { trialCount } from "./trials.js";

export function SweepFacts({ sweep, trials }: { sweep: Sweep; trials: readonly Trial[] }) {
  const best = trials.find(({ number }) => number === sweep.best?.number);
  return (
    <div class="column">
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
          <Line name="Metric">{sweep.metric ? `${sweep.metric.name}, ${sweep.metric.goal}` : "none: no trial is the best"}</Line>
          <Line name="Best">
            <BestTrial sweep={sweep} />
          </Line>
          <Line name="Trials">{countsText(sweep)}</Line>
          <Line name="Agents">{agentsText(sweep)}</Line>
          <Line name="Created"><Age moment={sweep.created_at} /></Line>
        </dl>
      </section>
      {best && <ValueTree title="Best parameters" root={best.params} empty="The trial has no parameters." />}
    </div>
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

function BestTrial({ sweep: { project, best } }: { sweep: Sweep }) {
  if (best === null) return <>no value yet</>;
  return (
    <>
      <strong title={String(best.value)}>{formatNumber(best.value)}</strong>
      <a href={pathOf({ page: "run", project, runId: best.run_id, tab: "charts" })}>{`trial ${formatCount(best.number)}`}</a>
    </>
  );
}

function countsText(sweep: Sweep): string {
  const { superseded, ...states } = sweep.counts;
  const expected = sweep.expected_trials === null ? "" : ` of ${formatCount(sweep.expected_trials)}`;
  const parts = Object.entries(states).filter(([, count]) => count > 0).map(([state, count]) => `${formatCount(count)} ${state}`);
  const again = superseded === 0 ? [] : [formatAmount(superseded, "superseded attempt")];
  const details = [...parts, ...again].join(", ");
  return `${formatCount(trialCount(sweep))}${expected}${details === "" ? "" : `: ${details}`}`;
}

function agentsText({ agents }: Sweep): string {
  const alive = agents.filter(({ is_alive }) => is_alive).length;
  return agents.length === 0 ? "none yet" : `${formatCount(alive)} of ${formatCount(agents.length)} alive`;
}
