/** The console of a run: searched by the hub, followed while it runs. */
import { useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";

import { ApiError } from "../../api/errors.js";
import { listWriters } from "../../api/hub.js";
import { formatAmount } from "../../parts/format.js";
import { LogLines } from "../../parts/LogLines.js";
import { Failure, Notice } from "../../parts/Notice.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { makeRunConsole, type ConsoleState } from "../../state/console.js";
import { useFollow, writerFacts } from "../../state/follow.js";
import { viewState, type ViewState } from "../../state/navigation.js";
import { number, oneOf, text } from "../../state/query.js";
import { useResource } from "../../state/resource.js";
import type { RunTabProps } from "./runTab.js";

const NO_TIME = 0;
const LOGS_VIEW = {
  q: text(),
  stream: oneOf(["", "stdout", "stderr"], ""),
  label: text(),
  /** The moment that is shown, in seconds. */
  at: number(NO_TIME),
};
const SEARCH_DELAY_MS = 200;
const LOOKS_AFTER_END_MS = [0, 2000, 10_000];

export function Logs({ run }: RunTabProps) {
  const { project, run_id } = run;
  const view = useMemo(() => viewState(LOGS_VIEW), []);
  const state = useMemo(() => makeRunConsole(project, run_id), [project, run_id]);
  const isFollowing = useSignal(view.values.peek().at === NO_TIME);
  useEffect(() => state.close, [state]);
  useSignalEffect(() => {
    const { q, stream, label, at } = view.values.value;
    void state.show({ search: q, stream, label }, at === NO_TIME ? null : at);
  });
  const isRunning = run.state === "running";
  const wasRunning = useRef(false);
  useEffect(() => {
    wasRunning.current ||= isRunning;
    if (!isFollowing.value || !wasRunning.current) return undefined;
    if (isRunning) return state.follow();
    // The last lines may have come since the last look, or while the page was hidden.
    const looks = LOOKS_AFTER_END_MS.map((ms) => setTimeout(() => void state.loadLater(), ms));
    return () => looks.forEach(clearTimeout);
  }, [state, isRunning, isFollowing.value]);

  const jump = (at: number) => {
    isFollowing.value = at === NO_TIME;
    if (at === NO_TIME && view.values.peek().at === NO_TIME) void state.loadLater();
    view.change({ at }, { push: true });
  };
  const { q } = view.values.value;
  const failure = state.error.value;
  const isOfSearch = failure instanceof ApiError && failure.code === "filter_invalid";
  return (
    <div class="logs">
      <LogTools run={run} view={view} state={state} isFollowing={isFollowing.value} onJump={jump} />
      {failure && !isOfSearch && <Failure what="The console could not be read" error={failure} />}
      {failure && isOfSearch && <p class="filter-error search-error" role="status">{failure.message}</p>}
      {!state.isReady.value && !failure && <Skeleton rows={16} />}
      {state.isReady.value && state.lines.value.length === 0 && <NoLines isSearch={isSearch(view)} onClear={() => view.change({ q: "", stream: "", label: "" })} />}
      {state.lines.value.length > 0 && (
        <LogLines
          state={state}
          search={q}
          isAtEnd={isFollowing.value}
          showMoment={view.values.value.at}
          onLeaveEnd={() => (isFollowing.value = false)}
          onReachEnd={() => (isFollowing.value = true)}
        />
      )}
    </div>
  );
}

function isSearch(view: ViewState<typeof LOGS_VIEW>): boolean {
  const { q, stream, label } = view.values.value;
  return q !== "" || stream !== "" || label !== "";
}

function NoLines({ isSearch, onClear }: { isSearch: boolean; onClear(): void }) {
  if (!isSearch) return <Notice title="The run has written no line to its console" />;
  return (
    <Notice title="No line matches">
      <button type="button" onClick={onClear}>Show all lines</button>
    </Notice>
  );
}

interface LogToolsProps {
  run: RunTabProps["run"];
  view: ViewState<typeof LOGS_VIEW>;
  state: ConsoleState;
  isFollowing: boolean;
  onJump(at: number): void;
}

function LogTools({ run, view, state, isFollowing, onJump }: LogToolsProps) {
  const { q, stream, label, at } = view.values.value;
  const typed = useSignal(q);
  useEffect(() => {
    if (typed.value === q) return;
    const timer = setTimeout(() => view.change({ q: typed.value }), SEARCH_DELAY_MS);
    return () => clearTimeout(timer);
  }, [typed.value]);
  useEffect(() => void (typed.value = q), [q]);
  const total = state.total.value;
  return (
    <div class="tools" role="search" aria-label="Console">
      <input
        type="search"
        class="mono grow"
        data-key="/"
        aria-label="Search the console"
        placeholder="Search all lines (RE2), e.g. error|nan"
        spellcheck={false}
        value={typed.value}
        onInput={(event) => (typed.value = event.currentTarget.value)}
      />
      <select aria-label="Stream" value={stream} onChange={(event) => view.change({ stream: event.currentTarget.value as typeof stream })}>
        <option value="">both streams</option>
        <option value="stdout">stdout</option>
        <option value="stderr">stderr</option>
      </select>
      {(run.writers > 1 || label !== "") && <LabelSelect run={run} label={label} onChange={(next) => view.change({ label: next })} />}
      <input
        type="datetime-local"
        step="1"
        aria-label="Show the lines of this moment"
        value={at === NO_TIME ? "" : localMoment(at)}
        onChange={(event) => {
          const moment = new Date(event.currentTarget.value).getTime() / 1000;
          if (Number.isFinite(moment)) onJump(moment);
        }}
      />
      <button type="button" aria-pressed={isFollowing} title="Stay at the last line" onClick={() => onJump(NO_TIME)}>
        {run.state === "running" ? "Follow" : "To the end"}
      </button>
      <span class="fact" aria-live="polite">{total !== null && formatAmount(total, "line")}</span>
    </div>
  );
}

function LabelSelect({ run, label, onChange }: { run: RunTabProps["run"]; label: string; onChange(label: string): void }) {
  const writers = useResource(`writers ${run.run_id}`, (signal) => listWriters(run.project, run.run_id, { signal }));
  useFollow(writers, writerFacts(run));
  const labels = [...new Set(writers.data.value?.writers.map((writer) => writer.label) ?? [])].filter((each) => each !== "");
  if (label !== "" && !labels.includes(label)) labels.push(label);
  if (labels.length === 0) return null;
  return (
    <select aria-label="Writer" value={label} onChange={(event) => onChange(event.currentTarget.value)}>
      <option value="">all writers</option>
      {labels.map((each) => (
        <option key={each} value={each}>{each}</option>
      ))}
    </select>
  );
}

/** A moment as the field wants it: local time without a zone. */
function localMoment(seconds: number): string {
  const date = new Date(seconds * 1000);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
