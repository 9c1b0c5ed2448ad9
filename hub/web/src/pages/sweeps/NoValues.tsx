/** No trial has a value of the metric: possible causes. */
import type { Trial } from "../../api/sweeps.js";
import { formatAmount } from "../../parts/format.js";
import { isOver } from "./trials.js";

export function NoValues({ trials, metric }: { trials: readonly Trial[]; metric: string }) {
  const ended = trials.filter(isOver);
  if (ended.length === 0) return <p class="fact">No trial has a value yet.</p>;
  const bad = ended.filter(({ state }) => state === "failed" || state === "crashed");
  return (
    <div class="no-values">
      <p>{`${formatAmount(ended.length, "trial")} ended without a value of ${metric}.`}</p>
      <p class="fact">
        {bad.length === ended.length
          ? "All of them failed or crashed: see the logs of their runs."
          : `A trial has a value when its training logs ${metric} under exactly this name.`}
      </p>
    </div>
  );
}
