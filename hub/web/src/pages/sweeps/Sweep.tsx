/** One sweep: what it is, its best trial, how it went, and all its trials. */
import { ApiError } from "../../api/errors.js";
import { getSweep, listTrials, type Sweep, type Trial } from "../../api/sweeps.js";
import { formatCount } from "../../parts/format.js";
import { Failure, Notice } from "../../parts/Notice.js";
import { PageHeader } from "../../parts/PageHeader.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { now } from "../../state/clock.js";
import { usePolling } from "../../state/polling.js";
import { useResource } from "../../state/resource.js";
import { pathOf } from "../../state/routes.js";
import { History } from "./History.js";
import { SweepActions } from "./SweepActions.js";
import { SweepBadge } from "./SweepBadge.js";
import { SweepFacts } from "./SweepFacts.js";
import "./sweeps.css";
import { isActive } from "./trials.js";
import { TrialsTable } from "./TrialsTable.js";

const TRIALS_MAX = 10_000;

interface SweepAndTrials {
  sweep: Sweep;
  trials: readonly Trial[];
  /** There are more trials than were asked for. */
  isCut: boolean;
}

async function readAll(sweepId: string, signal: AbortSignal): Promise<SweepAndTrials> {
  const [sweep, page] = await Promise.all([
    getSweep(sweepId, { signal }),
    listTrials(sweepId, { limit: TRIALS_MAX }, { signal }),
  ]);
  return { sweep, trials: page.trials, isCut: page.next_cursor !== null };
}

export function SweepPage({ project, sweepId }: { project: string; sweepId: string }) {
  const resource = useResource(`sweep ${sweepId}`, (signal) => readAll(sweepId, signal));
  const found = resource.data.value;
  const error = resource.error.value;
  const isGone = error instanceof ApiError && error.status === 404;
  const isElsewhere = found !== null && found.sweep.project !== project;
  // A hub that was away is asked again.
  usePolling(resource, !isGone && (found === null || isActive(found.sweep, now.value)));
  const name = found?.sweep.name || sweepId;
  const crumbs = [
    { label: project, href: pathOf({ page: "charts", project }) },
    { label: "Sweeps", href: pathOf({ page: "sweeps", project }) },
    { label: name },
  ];
  const isShown = found !== null && !isGone && !isElsewhere;
  return (
    <main>
      <PageHeader crumbs={crumbs}>
        {isShown && <SweepBadge state={found.sweep.state} />}
        {isShown && <SweepActions sweep={found.sweep} onChanged={() => void resource.load()} />}
      </PageHeader>
      {isGone && (
        <Notice title={`There is no sweep ${sweepId}`}>
          <p>Its id is mistyped, or another hub has it.</p>
          <a href={pathOf({ page: "sweeps", project })}>{`Sweeps of ${project}`}</a>
        </Notice>
      )}
      {isElsewhere && !isGone && (
        <Notice title={`Sweep ${sweepId} is not of project ${project}`}>
          <a href={pathOf({ page: "sweep", project: found.sweep.project, sweepId })}>
            {`It is of project ${found.sweep.project}`}
          </a>
        </Notice>
      )}
      {error && !isGone && (!found || error instanceof ApiError) && (
        <Failure what="The sweep could not be read" error={error} onRetry={() => void resource.load()} />
      )}
      {!found && !error && <Skeleton rows={12} />}
      {isShown && <Parts {...found} />}
    </main>
  );
}

function Parts({ sweep, trials, isCut }: SweepAndTrials) {
  return (
    <>
      <div class="overview">
        <SweepFacts sweep={sweep} trials={trials} />
        {sweep.metric && <History trials={trials} metric={sweep.metric} />}
      </div>
      <TrialsTable sweep={sweep} trials={trials} />
      {isCut && <p class="fact more">{`The first ${formatCount(TRIALS_MAX)} trials`}</p>}
    </>
  );
}
