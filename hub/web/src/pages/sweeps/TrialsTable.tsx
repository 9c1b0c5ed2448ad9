/** All trials of a sweep, a column for each parameter. A click on a title sorts. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";

import type { Sweep, Trial } from "../../api/sweeps.js";
import { formatAmount, formatCount, formatExact, formatNumber, formatValue } from "../../parts/format.js";
import { Notice } from "../../parts/Notice.js";
import { viewState } from "../../state/navigation.js";
import { text } from "../../state/query.js";
import { pathOf } from "../../state/routes.js";
import { TrialBadge } from "./SweepBadge.js";
import { flatParams, NEWEST_FIRST, paramColumn, paramNames, sortAfter, sortKey, sortTrials } from "./trials.js";

const FIELDS = { s: text(NEWEST_FIRST) };
const ROWS_STEP = 200;

export function TrialsTable({ sweep, trials }: { sweep: Sweep; trials: readonly Trial[] }) {
  const view = useMemo(() => viewState(FIELDS), []);
  const rowsMax = useSignal(ROWS_STEP);
  const sort = view.values.value.s;
  const names = useMemo(() => paramNames(trials), [trials]);
  const sorted = useMemo(() => sortTrials(trials, sort), [trials, sort]);
  if (trials.length === 0) {
    return (
      <Notice title="No trial yet">
        <p>An agent runs trials, on this machine or another one:</p>
        <code>{`stepwell agent ${sweep.id}`}</code>
      </Notice>
    );
  }
  const hasAttempts = trials.some(({ attempts }) => attempts.length > 1);
  const goal = sweep.metric?.goal ?? "minimize";
  const head = (column: string, title: string, isNumber = false) => (
    <SortTitle
      column={column}
      title={title}
      isNumber={isNumber}
      sort={sort}
      onSort={() => view.change({ s: sortAfter(sort, column, goal) })}
    />
  );
  const shown = sorted.slice(0, rowsMax.value);
  return (
    <section aria-label="Trials">
      <div class="scroll-x" tabIndex={0} role="group" aria-label="Table of trials">
        <table class="rows">
          <thead>
            <tr>
              {head("number", "Trial")}
              {head("state", "State")}
              {sweep.metric && head("value", sweep.metric.name, true)}
              {sweep.metric && head("steps", "Values", true)}
              {hasAttempts && <th scope="col" class="number">Attempts</th>}
              {names.map((name) => head(paramColumn(name), name, true))}
            </tr>
          </thead>
          <tbody>
            {shown.map((trial) => (
              <TrialRow key={trial.number} sweep={sweep} trial={trial} names={names} hasAttempts={hasAttempts} />
            ))}
          </tbody>
        </table>
      </div>
      {shown.length < sorted.length && (
        <p class="more">
          <button type="button" onClick={() => (rowsMax.value += ROWS_STEP)}>
            {`Show more of ${formatAmount(sorted.length, "trial")}`}
          </button>
        </p>
      )}
    </section>
  );
}

interface SortTitleProps {
  column: string;
  title: string;
  isNumber: boolean;
  sort: string;
  onSort(): void;
}

function SortTitle({ column, title, isNumber, sort, onSort }: SortTitleProps) {
  const isSorted = sortKey(sort) === column;
  const direction = sort.startsWith("-") ? "descending" : "ascending";
  return (
    <th scope="col" class={isNumber ? "number" : ""} aria-sort={isSorted ? direction : undefined}>
      <button type="button" class="sort" title={`${title}: click to sort`} onClick={onSort}>
        <span class="sort-title">{title}</span>
        {isSorted && <span aria-hidden="true">{direction === "ascending" ? "↑" : "↓"}</span>}
      </button>
    </th>
  );
}

interface TrialRowProps {
  sweep: Sweep;
  trial: Trial;
  names: readonly string[];
  hasAttempts: boolean;
}

function TrialRow({ sweep, trial, names, hasAttempts }: TrialRowProps) {
  const params = flatParams(trial.params);
  const isBest = sweep.best?.number === trial.number;
  return (
    <tr class={isBest ? "best-trial" : ""} data-trial={trial.number}>
      <th scope="row">
        <RunLink project={sweep.project} runId={trial.run_id}>{formatCount(trial.number)}</RunLink>
        {isBest && <span class="tag">best</span>}
      </th>
      <td><TrialBadge trial={trial} /></td>
      {sweep.metric && (
        <td class="number" title={formatExact(trial.value)}>{trial.value !== null && formatNumber(trial.value)}</td>
      )}
      {sweep.metric && <td class="number">{formatCount(trial.steps)}</td>}
      {hasAttempts && (
        <td class="number">
          {trial.attempts.length > 1 &&
            trial.attempts.map(({ fencing, run_id, state }) => (
              <span key={fencing} class="attempt" title={`Attempt ${fencing}: ${state}`}>
                <RunLink project={sweep.project} runId={run_id}>{formatCount(fencing)}</RunLink>
              </span>
            ))}
        </td>
      )}
      {names.map((name) => (
        <td key={name} class="number param" title={formatExact(params.get(name))}>{formatValue(params.get(name))}</td>
      ))}
    </tr>
  );
}

function RunLink({ project, runId, children }: { project: string; runId: string; children: ComponentChildren }) {
  return <a href={pathOf({ page: "run", project, runId, tab: "charts" })} title={`run ${runId}`}>{children}</a>;
}
