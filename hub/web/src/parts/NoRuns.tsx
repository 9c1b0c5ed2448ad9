/** Shown if there are no runs: no such project, an empty one, or a filter that matches none. */
import { ApiError } from "../api/errors.js";
import { getProject } from "../api/hub.js";
import { useResource } from "../state/resource.js";
import type { RunsState } from "../state/runs.js";
import { Notice } from "./Notice.js";

export function NoRuns({ runs }: { runs: RunsState }) {
  if (runs.filter.value === "") return <NoRunsAtAll runs={runs} />;
  return (
    <Notice title="No run matches the filter">
      {runs.list.hints.value.map((hint) => <p key={hint}>{hint}</p>)}
      <button type="button" onClick={() => runs.setFilter("")}>Clear the filter</button>
    </Notice>
  );
}

/** In place of what would be drawn: the list beside it has the hints, on a phone it is closed. */
export function NoRunLeft({ runs }: { runs: RunsState }) {
  return (
    <p class="none-left" role="status">
      No run matches the filter.
      <button type="button" class="small" onClick={() => runs.setFilter("")}>Clear the filter</button>
    </p>
  );
}

/** True where the filter leaves nothing to draw, also no run that was chosen before. */
export function leavesNoRun({ list, filter, shown }: RunsState): boolean {
  const isNone = list.rows.value.length === 0 && shown.value.length === 0;
  return isNone && list.isReady.value && list.filterError.value === null && filter.value !== "";
}

/** True if the project has no run at all, also without a filter. */
export function hasNoRuns({ list, filter }: RunsState): boolean {
  return list.isReady.value && list.filterError.value === null && list.rows.value.length === 0 && filter.value === "";
}

/** The hub lists no runs for an unknown project: only the request for the project shows that it is unknown. */
function NoRunsAtAll({ runs }: { runs: RunsState }) {
  const { project } = runs;
  const { data, error } = useResource(`project ${project}`, (signal) => getProject(project, { signal }));
  const isUnknown = error.value instanceof ApiError && error.value.status === 404;
  if (data.value === null && error.value === null) return null;
  const archived = data.value?.archived_count ?? 0;
  if (archived > 0) {
    return (
      <Notice title={archived === 1 ? "The only run of this project is archived" : "All runs of this project are archived"}>
        <button type="button" onClick={() => runs.setArchived(true)}>Show archived runs</button>
      </Notice>
    );
  }
  return (
    <Notice title={isUnknown ? `There is no project ${project}` : "This project has no runs"}>
      {isUnknown && <p>Its name is mistyped, it was deleted, or it has no run yet.</p>}
      <a href="/">All projects</a>
    </Notice>
  );
}
