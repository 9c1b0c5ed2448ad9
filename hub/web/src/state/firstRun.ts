/** The first run of an empty hub. */
import { listProjects, listRuns } from "../api/hub.js";
import { pathOf } from "./routes.js";

/** The address of the newest run of the hub, or null while there is none. */
export async function findFirstRun(signal: AbortSignal): Promise<string | null> {
  const [newest] = (await listProjects({ limit: 1 }, { signal })).projects;
  if (newest === undefined) return null;
  const { project } = newest;
  const query = { filter: "", sort: ["-started"], columns: [], limit: 1, cursor: null, archived: false };
  const [run] = (await listRuns(project, query, { signal })).runs;
  return run === undefined ? null : pathOf({ page: "run", project, runId: run.run_id, tab: "charts" });
}
