/** The runs of a panel: asked for as the panel chooses them, and again while one of them runs. */
import { listRuns } from "../../api/hub.js";
import type { PanelFields } from "../../api/reports.js";
import type { RunOverview } from "../../api/types.js";
import { usePolling } from "../../state/polling.js";
import { useResource, type Resource } from "../../state/resource.js";
import { namesOf, runsQuery } from "./fields.js";

export const NO_RUNS = "No run matches";

export function useChosenRuns(
  project: string,
  fields: PanelFields,
  columns: readonly string[] = [],
): Resource<readonly RunOverview[]> {
  const query = runsQuery(fields, columns);
  const resource = useResource(JSON.stringify([project, query]), async (signal) => {
    const { runs } = await listRuns(project, query, { signal });
    const ids = namesOf(fields, "ids");
    return ids.length === 0 ? runs : runs.toSorted((a, b) => ids.indexOf(a.run_id) - ids.indexOf(b.run_id));
  });
  const runs = resource.data.value;
  usePolling(resource, runs !== null && (runs.length === 0 || runs.some(({ state }) => state === "running")));
  return resource;
}
