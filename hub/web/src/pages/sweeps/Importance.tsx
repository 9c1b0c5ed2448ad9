/** How much of the spread of the values goes together with each parameter. */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { getImportance, type Goal, type Importances, type ParameterImportance, type Trial } from "../../api/sweeps.js";
import { formatAmount, formatCount } from "../../parts/format.js";
import { Failure } from "../../parts/Notice.js";
import { useResource } from "../../state/resource.js";
import { throttled } from "../../state/throttled.js";
import { isOver } from "./trials.js";

const AGAIN_MS = 5000;
const SHOWN_MAX = 12;
/** A weaker rank correlation is not called a direction. */
const DIRECTION_MIN = 0.2;

interface ImportanceProps {
  sweepId: string;
  metric: { name: string; goal: Goal };
  trials: readonly Trial[];
}

export function Importance({ sweepId, metric, trials }: ImportanceProps) {
  const resource = useResource(`importance ${sweepId}`, (signal) => getImportance(sweepId, { signal }));
  const again = useMemo(() => throttled(AGAIN_MS, () => void resource.load()), [resource]);
  useEffect(() => again.cancel, [again]);
  const known = useMemo(() => trials.filter((trial) => isOver(trial) && trial.value !== null).map(({ value }) => value).join(), [trials]);
  const found = resource.data.value;
  useEffect(() => {
    if (resource.data.peek() !== null) again.call();
  }, [known]);
  const error = resource.error.value;
  return (
    <section class="card" aria-label="Importance">
      <header class="card-head">
        <h2>Importance</h2>
        <span class="fact">association, not cause</span>
      </header>
      {error && !found && <Failure what="The importance could not be read" error={error} onRetry={() => void resource.load()} />}
      {found && <Shares found={found} metric={metric} />}
    </section>
  );
}

function Shares({ found, metric }: { found: Importances; metric: { name: string; goal: Goal } }) {
  const isWhole = useSignal(false);
  const { trials, trials_min, chance, parameters } = found;
  const shown = isWhole.value ? parameters : parameters.slice(0, SHOWN_MAX);
  if (trials < trials_min) {
    return (
      <p class="fact">
        {`Too few trials: ${formatCount(trials)} finished or were stopped with a value of ${metric.name}; ${formatCount(trials_min)} are needed.`}
      </p>
    );
  }
  if (parameters.length === 0) return <p class="fact">All trials have the same parameters.</p>;
  return (
    <>
      <ul class="importance">
        {shown.map((each) => (
          <Share key={each.name} parameter={each} chance={chance} metric={metric.name} />
        ))}
      </ul>
      {shown.length < parameters.length && (
        <button type="button" class="small" onClick={() => (isWhole.value = true)}>
          {`Show all ${formatAmount(parameters.length, "parameter")}`}
        </button>
      )}
      <p class="fact">
        {`The part of the variance of the ranks of ${metric.name} between groups of similar values of a parameter, over ` +
          `${formatCount(trials)} trials.` +
          (chance === null ? "" : ` Chance alone reaches ${percent(chance)} in one of 20 cases (the mark).`)}
      </p>
    </>
  );
}

function Share({ parameter, chance, metric }: { parameter: ParameterImportance; chance: number | null; metric: string }) {
  const { name, share, direction, reason } = parameter;
  const isWeak = share !== null && chance !== null && share <= chance;
  return (
    <li>
      <span class="importance-name" title={name}>{name}</span>
      <span class="importance-bar" aria-hidden="true">
        {share !== null && <span class={isWeak ? "weak" : ""} style={{ width: percent(share) }} />}
        {share !== null && chance !== null && <i style={{ left: percent(chance) }} />}
      </span>
      <span class="importance-share">{share === null ? "–" : percent(share)}</span>
      <span class="fact">
        {share === null ? reason : isWeak ? "not more than chance" : directionText(direction, metric)}
      </span>
    </li>
  );
}

function directionText(direction: number | null, metric: string): string {
  if (direction === null) return "differs by category";
  if (Math.abs(direction) < DIRECTION_MIN) return "no clear direction";
  return `with higher values, ${direction > 0 ? "higher" : "lower"} ${metric}`;
}

function percent(part: number): string {
  return `${Math.round(100 * part)}%`;
}
