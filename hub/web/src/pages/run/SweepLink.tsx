/** A link from a run to its sweep; empty for runs without a sweep. */
import { getSweepOfRun } from "../../api/sweeps.js";
import { formatCount } from "../../parts/format.js";
import { useResource } from "../../state/resource.js";
import { pathOf } from "../../state/routes.js";

export function SweepLink({ project, runId }: { project: string; runId: string }) {
  const { data } = useResource(`sweep of ${project}/${runId}`, (signal) => getSweepOfRun(project, runId, { signal }));
  const place = data.value?.sweep ?? null;
  if (place === null) return null;
  const { sweep_id: sweepId, name, number, is_newest } = place;
  return (
    <a class="tag" href={pathOf({ page: "sweep", project, sweepId })} title={sweepId}>
      {`sweep ${name || sweepId}, trial ${formatCount(number)}${is_newest ? "" : ": another run has it now"}`}
    </a>
  );
}
