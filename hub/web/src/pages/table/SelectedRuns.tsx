/** What can be done with the runs that are selected. */
import { useSignal, type Signal } from "@preact/signals";

import type { RunOverview } from "../../api/types.js";
import { DeleteRuns } from "../../parts/DeleteRuns.js";
import { formatCount } from "../../parts/format.js";
import { changeRun } from "../../state/edits.js";
import { writeQuery } from "../../state/query.js";
import { pathOf } from "../../state/routes.js";
import { RUNS_FIELDS, type RunsState } from "../../state/runs.js";
import { formatSelection } from "../../state/selection.js";

interface SelectedRunsProps {
  runs: RunsState;
  chosen: Signal<ReadonlyMap<string, RunOverview>>;
}

export function SelectedRuns({ runs, chosen }: SelectedRunsProps) {
  const isDeleting = useSignal(false);
  const selected = [...chosen.value.values()];
  const archive = async (archived: boolean) => {
    chosen.value = new Map();
    await Promise.all(selected.map((run) => changeRun(runs.list, run, { archived })));
    runs.list.refresh();
  };
  const sel = formatSelection({ mode: "none", added: new Set(chosen.value.keys()), removed: new Set() });
  const defaults = Object.fromEntries(Object.entries(RUNS_FIELDS).map(([key, field]) => [key, field.fallback]));
  const query = writeQuery({ sel: RUNS_FIELDS.sel }, { ...defaults, sel }, "");
  return (
    <div class="selected" role="group" aria-label="Selected runs">
      <span>{`${formatCount(selected.length)} selected`}</span>
      <a class="button" href={pathOf({ page: "charts", project: runs.project }) + query}>Draw</a>
      {selected.some((run) => !run.archived) && (
        <button type="button" onClick={() => void archive(true)}>Archive</button>
      )}
      {selected.some((run) => run.archived) && (
        <button type="button" onClick={() => void archive(false)}>Take out of the archive</button>
      )}
      <button type="button" class="danger" onClick={() => (isDeleting.value = true)}>Delete…</button>
      <button type="button" class="quiet" onClick={() => (chosen.value = new Map())}>Clear</button>
      {isDeleting.value && (
        <DeleteRuns
          runs={selected}
          onClose={() => (isDeleting.value = false)}
          onDeleted={(deleted) => {
            runs.list.remove(deleted);
            chosen.value = new Map([...chosen.value].filter(([id]) => !deleted.has(id)));
            runs.list.refresh();
          }}
        />
      )}
    </div>
  );
}
