/** All trials of a sweep, a column for each parameter. A click on a title sorts. */
import { useSignal, type Signal } from "@preact/signals";
import { useMemo } from "preact/hooks";

import type { Goal, Sweep, Trial } from "../../api/sweeps.js";
import { formatAmount, formatCount, formatDuration, formatExact, formatNumber, formatValue } from "../../parts/format.js";
import { now } from "../../state/clock.js";
import { list, text, writeQuery } from "../../state/query.js";
import { pathOf } from "../../state/routes.js";
import { formatSelection } from "../../state/selection.js";
import { TrialBadge } from "./SweepBadge.js";
import { RunLink, TrialLink } from "./TrialLink.js";
import { durationOf, flatParams, paramColumn, paramNames, sortAfter, sortKey, sortTrials } from "./trials.js";
import type { sweepView } from "./view.js";

const ROWS_STEP = 100;
const CHARTS_MAX = 50;

interface TrialsTableProps {
  sweep: Sweep;
  /** Those inside all ranges of the axes. */
  trials: readonly Trial[];
  /** Of all trials. */
  count: number;
  view: ReturnType<typeof sweepView>;
  hovered: Signal<number | null>;
}

export function TrialsTable({ sweep, trials, count, view, hovered }: TrialsTableProps) {
  const rowsMax = useSignal(ROWS_STEP);
  const sort = view.values.value.s;
  const names = useMemo(() => paramNames(trials), [trials]);
  const until = sortKey(sort) === "duration" ? now.value : 0;
  const sorted = useMemo(() => sortTrials(trials, sort, until), [trials, sort, until]);
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
  const withRun = sorted.filter(({ is_run_deleted }) => !is_run_deleted);
  return (
    <section class="trials" aria-label="Trials">
      <header class="card-head">
        <h2>Trials</h2>
        <span class="fact">
          {trials.length === count
            ? formatCount(count)
            : `${formatCount(trials.length)} of ${formatCount(count)}: the others are outside of the ranges above`}
        </span>
        {trials.length < count && <button type="button" class="small" onClick={() => view.change({ b: [] })}>Show all trials</button>}
        <a class="button" href={tableOf(sweep)}>Table of all runs</a>
        {withRun.length > 0 && (
          <a class="button" href={chartsOf(sweep.project, withRun)}>
            {`Charts of ${withRun.length > CHARTS_MAX ? `the first ${formatAmount(CHARTS_MAX, "run")}` : formatAmount(withRun.length, "run")}`}
          </a>
        )}
      </header>
      <div class="scroll-x" tabIndex={0} role="group" aria-label="Table of trials">
        <table class="rows">
          <thead>
            <tr>
              {head("number", "Trial")}
              {head("state", "State")}
              {sweep.metric && head("value", bestTitle(sweep.metric), true)}
              {sweep.metric && head("last", "Last value", true)}
              {sweep.metric && head("steps", "Values", true)}
              {hasAttempts && <th scope="col" class="number">Attempts</th>}
              {names.map((name) => head(paramColumn(name), name, true))}
              {head("duration", "Time", true)}
            </tr>
          </thead>
          <tbody>
            {shown.map((trial) => (
              <TrialRow
                key={trial.number}
                sweep={sweep}
                trial={trial}
                names={names}
                hasAttempts={hasAttempts}
                hovered={hovered}
              />
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

/** What the search goes by: the best value of each trial, wherever in its run it was. */
function bestTitle({ name, goal }: { name: string; goal: Goal }): string {
  return `${name} (${goal === "minimize" ? "lowest" : "highest"})`;
}

/** The charts of a project with the runs of these trials. */
function chartsOf(project: string, trials: readonly Trial[]): string {
  const added = new Set(trials.slice(0, CHARTS_MAX).map(({ run_id }) => run_id));
  const sel = formatSelection({ mode: "none", added, removed: new Set() });
  return pathOf({ page: "charts", project }) + writeQuery({ sel: list() }, { sel }, "");
}

/** The table of runs with all attempts of this sweep. */
function tableOf({ project, id }: Sweep): string {
  return pathOf({ page: "table", project }) + writeQuery({ q: text() }, { q: `sweep:${id}` }, "");
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
  hovered: Signal<number | null>;
}

function TrialRow({ sweep, trial, names, hasAttempts, hovered }: TrialRowProps) {
  const params = flatParams(trial.params);
  const isBest = sweep.best?.number === trial.number;
  return (
    <tr
      class={isBest ? "best-trial" : ""}
      data-trial={trial.number}
      onPointerEnter={() => (hovered.value = trial.number)}
      onPointerLeave={() => (hovered.value = null)}
    >
      <th scope="row">
        <TrialLink project={sweep.project} trial={trial}>{formatCount(trial.number)}</TrialLink>
        {isBest && <span class="tag">best</span>}
        {trial.is_run_deleted && <span class="tag">run deleted</span>}
      </th>
      <td><TrialBadge trial={trial} /></td>
      {sweep.metric && (
        <td class="number" title={formatExact(trial.value)}>{trial.value !== null && formatNumber(trial.value)}</td>
      )}
      {sweep.metric && (
        <td class="number" title={formatExact(trial.last)}>{trial.last !== null && formatNumber(trial.last)}</td>
      )}
      {sweep.metric && <td class="number">{formatCount(trial.steps)}</td>}
      {hasAttempts && (
        <td class="number">
          {trial.attempts.length > 1 &&
            trial.attempts.map(({ fencing, run_id, state }) => (
              <span key={fencing} class="attempt" title={`Attempt ${fencing}: ${state}`}>
                {run_id === trial.run_id
                  ? <TrialLink project={sweep.project} trial={trial}>{formatCount(fencing)}</TrialLink>
                  : <RunLink project={sweep.project} runId={run_id}>{formatCount(fencing)}</RunLink>}
              </span>
            ))}
        </td>
      )}
      {names.map((name) => (
        <td key={name} class="number param" title={formatExact(params.get(name))}>{formatValue(params.get(name))}</td>
      ))}
      <td class="number">{formatDuration(durationOf(trial, now.value))}</td>
    </tr>
  );
}
