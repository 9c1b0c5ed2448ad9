/** States of sweeps and trials, each as a word with a colour. */
import type { SweepState, Trial, TrialState } from "../../api/sweeps.js";
import { trialStateText } from "./trials.js";

const SWEEP: Readonly<Record<SweepState, [kind: string, title: string]>> = {
  pending: ["other", "No agent has requested a trial yet"],
  running: ["live", "Agents receive trials"],
  paused: ["stale", "No new trials; running trials continue"],
  finished: ["done", "No new trials; running trials continue to their end"],
  canceled: ["other", "No new trials; running trials are stopped"],
};

const TRIAL: Readonly<Record<TrialState, [kind: string, title: string]>> = {
  running: ["live", "An agent runs it"],
  waiting: ["stale", "Its agent disappeared: the next agent gets the trial"],
  finished: ["done", "Ended without an error"],
  failed: ["bad", "Ended with an error"],
  crashed: ["bad", "Its process disappeared, or its agents disappeared five times"],
  stopped: ["other", "Stopped before its end"],
};

const REASONS: Readonly<Record<string, string>> = {
  early_terminate: "Stopped early: others were better at the same step",
  canceled: "Stopped: the sweep was canceled",
  superseded: "Stopped: another agent has the trial",
};

export function SweepBadge({ state }: { state: SweepState }) {
  const [kind, title] = SWEEP[state];
  return <span class={`badge ${kind}`} title={title}>{state}</span>;
}

export function TrialBadge({ trial }: { trial: Trial }) {
  const [kind, title] = TRIAL[trial.state];
  return (
    <span class={`badge ${kind}`} title={REASONS[trial.stop_reason] ?? title}>
      {trialStateText(trial)}
    </span>
  );
}
