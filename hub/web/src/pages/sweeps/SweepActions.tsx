/** Pause, resume, stop or cancel a sweep. The last two are final, so they are asked for first. */
import { useSignal } from "@preact/signals";

import { changeSweep, type Sweep, type SweepState } from "../../api/sweeps.js";
import { Dialog } from "../../parts/Dialog.js";
import { say } from "../../state/toasts.js";

interface Ending {
  state: SweepState;
  title: string;
  text: string;
  button: string;
}

const STOP: Ending = {
  state: "finished",
  title: "Stop this sweep?",
  text: "No new trials start; running trials continue to their end. A stopped sweep cannot be resumed.",
  button: "Stop the sweep",
};
const CANCEL: Ending = {
  state: "canceled",
  title: "Cancel this sweep?",
  text: "No new trials start, and running trials are stopped now. A canceled sweep cannot be resumed.",
  button: "Cancel the sweep",
};

export function SweepActions({ sweep, onChanged }: { sweep: Sweep; onChanged(): void }) {
  const asked = useSignal<Ending | null>(null);
  const isBusy = useSignal(false);
  const change = async (state: SweepState) => {
    isBusy.value = true;
    try {
      await changeSweep(sweep.id, { state });
    } catch (failure) {
      say(`The sweep was not changed: ${(failure as Error).message}`, "bad");
    }
    isBusy.value = false;
    asked.value = null;
    onChanged();
  };
  if (sweep.state === "finished" || sweep.state === "canceled") return null;
  const isPaused = sweep.state === "paused";
  const ending = asked.value;
  return (
    <span class="actions">
      <button type="button" disabled={isBusy.value} onClick={() => void change(isPaused ? "running" : "paused")}>
        {isPaused ? "Resume" : "Pause"}
      </button>
      <button type="button" disabled={isBusy.value} onClick={() => (asked.value = STOP)}>Stop…</button>
      <button type="button" class="danger" disabled={isBusy.value} onClick={() => (asked.value = CANCEL)}>Cancel…</button>
      {ending && (
        <Dialog title={ending.title} onClose={() => (asked.value = null)}>
          <p>{ending.text}</p>
          <div class="dialog-actions">
            <button type="button" onClick={() => (asked.value = null)}>Back</button>
            <button type="button" class="danger" disabled={isBusy.value} onClick={() => void change(ending.state)}>
              {ending.button}
            </button>
          </div>
        </Dialog>
      )}
    </span>
  );
}
