/** Wait on an empty hub for its first run, and open it. */
import { useEffect } from "preact/hooks";

import { listProjects, listRuns } from "../api/hub.js";
import { navigate } from "./navigation.js";
import { pathOf } from "./routes.js";

const ASK_MS = 1000;

/** The address of the newest run of the hub, or null while there is none. */
export async function findFirstRun(signal: AbortSignal): Promise<string | null> {
  const [newest] = (await listProjects({ limit: 1 }, { signal })).projects;
  if (newest === undefined) return null;
  const { project } = newest;
  const query = { filter: "", sort: ["-started"], columns: [], limit: 1, cursor: null, archived: false };
  const [run] = (await listRuns(project, query, { signal })).runs;
  return run === undefined ? null : pathOf({ page: "run", project, runId: run.run_id, tab: "charts" });
}

export function useFirstRun(): void {
  useEffect(() => {
    const ending = new AbortController();
    const timer = setInterval(() => {
      if (document.visibilityState !== "visible") return;
      findFirstRun(ending.signal).then(
        (address) => address !== null && !ending.signal.aborted && navigate(address),
        // The banner of the shell says that the hub does not answer; the next turn asks again.
        () => undefined,
      );
    }, ASK_MS);
    return () => {
      clearInterval(timer);
      ending.abort();
    };
  }, []);
}
