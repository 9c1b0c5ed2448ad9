/** Asks before runs are deleted, and once more for those that still run. */
import { useSignal } from "@preact/signals";

import type { RunOverview } from "../api/types.js";
import { deleteRuns } from "../state/edits.js";
import { say } from "../state/toasts.js";
import { Dialog } from "./Dialog.js";
import { formatCount } from "./format.js";

const NAMED_MAX = 8;

interface DeleteRunsProps {
  runs: readonly RunOverview[];
  onClose(): void;
  onDeleted(runIds: ReadonlySet<string>): void;
}

export function DeleteRuns({ runs, onClose, onDeleted }: DeleteRunsProps) {
  const asked = useSignal(runs);
  const isForced = useSignal(false);
  const done = useSignal<number | null>(null);
  const failure = useSignal<Error | null>(null);
  const stopping = useSignal<AbortController | null>(null);
  const note = useSignal("");
  const count = asked.value.length;
  const noun = count === 1 ? "this run" : `these ${formatCount(count)} runs`;

  const go = async () => {
    done.value = 0;
    note.value = "";
    const abort = (stopping.value = new AbortController());
    const outcome = await deleteRuns(asked.value, {
      force: isForced.value,
      signal: abort.signal,
      onProgress: (progress) => (done.value = progress),
    });
    done.value = null;
    stopping.value = null;
    failure.value = outcome.failure;
    if (outcome.deleted.size > 0) {
      onDeleted(outcome.deleted);
      say(`${formatCount(outcome.deleted.size)} ${outcome.deleted.size === 1 ? "run is" : "runs are"} deleted`);
    }
    asked.value = asked.value.filter((run) => !outcome.deleted.has(run.run_id));
    if (asked.value.length === 0) onClose();
    else if (abort.signal.aborted)
      note.value = `Stopped: ${formatCount(outcome.deleted.size)} deleted, ${formatCount(asked.value.length)} left.`;
    else if (outcome.running.length > 0) isForced.value = true;
  };

  const isBusy = done.value !== null;
  const close = () => {
    stopping.peek()?.abort();
    onClose();
  };

  return (
    <Dialog title={isForced.value ? `Delete ${noun}, although running?` : `Delete ${noun}?`} onClose={close}>
      <ul class="names">
        {asked.value.slice(0, NAMED_MAX).map((run) => (
          <li key={run.run_id}>{run.name || run.run_id}</li>
        ))}
        {count > NAMED_MAX && <li class="fact">{`and ${formatCount(count - NAMED_MAX)} more`}</li>}
      </ul>
      <p>
        {isForced.value
          ? "A process may still log into a deleted run. The rows that it sends later are deleted too."
          : "Points, histograms, media, tables, console and config are deleted permanently. Archiving only removes a run from the lists."}
      </p>
      {failure.value && <p class="filter-error" role="alert">{failure.value.message}</p>}
      {note.value !== "" && <p role="status">{note.value}</p>}
      {isBusy && (
        <p class="deleting">
          <progress max={count} value={done.value ?? 0} aria-label="Deleted runs" />
          <span class="fact" role="status">{`${formatCount(done.value ?? 0)} of ${formatCount(count)}`}</span>
        </p>
      )}
      <div class="dialog-actions">
        {isBusy ? (
          <button type="button" disabled={stopping.value?.signal.aborted} onClick={() => stopping.peek()?.abort()}>Stop</button>
        ) : (
          <button type="button" onClick={close}>{note.value === "" ? "Cancel" : "Close"}</button>
        )}
        <button type="button" class="danger" disabled={isBusy} onClick={() => void go()}>
          {isForced.value ? "Delete running runs" : "Delete"}
        </button>
      </div>
    </Dialog>
  );
}
