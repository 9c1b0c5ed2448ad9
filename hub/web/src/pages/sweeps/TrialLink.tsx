/** A link from a trial to its run; a deleted run has none. */
import type { ComponentChildren } from "preact";

import type { Trial } from "../../api/sweeps.js";
import { pathOf } from "../../state/routes.js";

export function TrialLink({ project, trial, children }: { project: string; trial: Trial; children: ComponentChildren }) {
  if (trial.is_run_deleted) return <span title={`run ${trial.run_id} was deleted`}>{children}</span>;
  return <RunLink project={project} runId={trial.run_id}>{children}</RunLink>;
}

export function RunLink({ project, runId, children }: { project: string; runId: string; children: ComponentChildren }) {
  return <a href={pathOf({ page: "run", project, runId, tab: "charts" })} title={`run ${runId}`}>{children}</a>;
}
