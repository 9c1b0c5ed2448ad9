/** How many runs are drawn of how many, and the ways to draw others. */
import { columnTitle } from "../state/columns.js";
import { DEFAULT_COUNT, type SelectionMode } from "../state/selection.js";
import type { RunsState } from "../state/runs.js";
import { formatCount } from "./format.js";

export function RailFooter({ runs }: { runs: RunsState }) {
  const total = runs.list.total.value;
  if (total === null) return null;
  const { mode, added, removed } = runs.selection.value;
  const isPlain = added.size === 0 && removed.size === 0;
  const [first = ""] = runs.sort.value;
  const isByTime = first === "-started";
  const modes: [SelectionMode, string][] = [
    ["top", isByTime ? `newest ${DEFAULT_COUNT}` : `top ${DEFAULT_COUNT} by ${columnTitle(first.replace(/^-/, ""))}`],
    ["running", "running"],
    ["all", "all"],
    ["none", "none"],
  ];
  return (
    <footer class="rail-footer">
      <p aria-live="polite">
        {`${formatCount(runs.shown.value.length)} of ${formatCount(total)} shown`}
        {runs.list.isLoading.value && <span class="reading">reading</span>}
        {mode !== "auto" && (
          <button type="button" class="link" onClick={() => runs.setMode("auto")}>
            reset
          </button>
        )}
      </p>
      {runs.list.colorProblem.value !== "" && (
        <p class="rail-note" role="status" title={runs.list.colorProblem.value}>
          Colors may differ: the hub's catalog does not answer
        </p>
      )}
      <div class="rail-modes" role="group" aria-label="Runs that are drawn">
        {modes.map(([name, label]) => (
          <button
            key={name}
            type="button"
            class="link"
            aria-pressed={isPlain && mode === name}
            title={label}
            onClick={() => runs.setMode(name)}
          >
            {label}
          </button>
        ))}
      </div>
    </footer>
  );
}
