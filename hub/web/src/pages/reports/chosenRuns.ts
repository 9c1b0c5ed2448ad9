/** The runs of a panel: asked for as the panel chooses them, and again while one of them runs. */
import { listRuns } from "../../api/hub.js";
import type { PanelFields } from "../../api/reports.js";
import type { RunOverview } from "../../api/types.js";
import { usePolling } from "../../state/polling.js";
import { useResource, type Resource } from "../../state/resource.js";
import { cutText, namesOf, neededMetrics, runsQuery } from "./fields.js";

export const NO_RUNS = "No run matches";

export interface ChosenRuns {
  readonly runs: readonly RunOverview[];
  /** That more runs match than these, or "". */
  readonly cut: string;
}

export function useChosenRuns(
  project: string,
  fields: PanelFields,
  columns: readonly string[] = [],
): Resource<ChosenRuns> {
  const query = runsQuery(fields, columns);
  const logged = neededMetrics(fields);
  const resource = useResource(JSON.stringify([project, query, logged]), async (signal) => {
    let page = await listRuns(project, { ...query, logged }, { signal });
    // No run has the metric: the panel says it of those that match.
    const hasNone = logged.length > 0 && page.runs.length === 0;
    if (hasNone) page = { ...(await listRuns(project, query, { signal })), next_cursor: null };
    const ids = namesOf(fields, "ids");
    const inOrder = page.runs.toSorted((a, b) => ids.indexOf(a.run_id) - ids.indexOf(b.run_id));
    return { runs: ids.length === 0 ? page.runs : inOrder, cut: cutText(fields, page) };
  });
  const runs = resource.data.value?.runs ?? null;
  usePolling(resource, runs !== null && (runs.length === 0 || runs.some(({ state }) => state === "running")));
  return resource;
}
