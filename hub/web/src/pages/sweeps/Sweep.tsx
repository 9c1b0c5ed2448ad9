/** One sweep: what it is, its best trial, how it went, what mattered, who runs it, and all its trials. */
import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";

import { ApiError } from "../../api/errors.js";
import { formatCount } from "../../parts/format.js";
import { Failure, Notice } from "../../parts/Notice.js";
import { PageHeader } from "../../parts/PageHeader.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { ValueTree } from "../../parts/ValueTree.js";
import { now } from "../../state/clock.js";
import { usePolling } from "../../state/polling.js";
import { useResource } from "../../state/resource.js";
import { pathOf } from "../../state/routes.js";
import { Agents } from "./Agents.js";
import { axesOf } from "./axes.js";
import { trialsWithin } from "./brushes.js";
import { History } from "./History.js";
import { Importance } from "./Importance.js";
import { Parallel } from "./Parallel.js";
import { sweepReader, TRIALS_MAX, type SweepAndTrials } from "./readSweep.js";
import { SweepActions } from "./SweepActions.js";
import { SweepBadge } from "./SweepBadge.js";
import { SweepFacts } from "./SweepFacts.js";
import "./sweeps.css";
import { isActive } from "./trials.js";
import { TrialsTable } from "./TrialsTable.js";
import { useBrushes } from "./useBrushes.js";
import { sweepView } from "./view.js";

export function SweepPage({ project, sweepId }: { project: string; sweepId: string }) {
  const read = useMemo(() => sweepReader(sweepId), [sweepId]);
  const resource = useResource(`sweep ${sweepId}`, read);
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
  const view = useMemo(sweepView, []);
  const hovered = useSignal<number | null>(null);
  const axes = useMemo(() => axesOf(sweep, trials), [sweep.id, trials]);
  const brushes = useBrushes(view);
  const isIn = useMemo(() => trialsWithin(axes, brushes.live, trials.length), [axes, trials, brushes.live]);
  const isKept = useMemo(() => trialsWithin(axes, brushes.kept, trials.length), [axes, trials, brushes.kept]);
  const kept = useMemo(() => trials.filter((_, at) => isKept[at] === 1), [trials, isKept]);
  const { metric } = sweep;
  const hasHistory = trials.length > 0 && metric !== null;
  const best = trials.find(({ number }) => number === sweep.best?.number);
  return (
    <>
      <div class="overview">
        <div class="column">
          <SweepFacts sweep={sweep} best={best} />
          {hasHistory && <Agents sweep={sweep} trials={trials} />}
        </div>
        <div class="column">
          {hasHistory ? (
            <>
              <History trials={trials} metric={metric} isIn={isIn} hovered={hovered} />
              <Importance sweepId={sweep.id} metric={metric} trials={trials} />
            </>
          ) : (
            <Agents sweep={sweep} trials={trials} />
          )}
        </div>
      </div>
      {trials.length > 0 && axes.length > 1 && (
        <div class="overview">
          <Parallel
            sweep={sweep}
            trials={trials}
            axes={axes}
            isIn={isIn}
            brushes={brushes.live}
            onBrushes={brushes.change}
            hovered={hovered}
          />
        </div>
      )}
      {trials.length > 0 && (
        <TrialsTable sweep={sweep} trials={kept} count={trials.length} view={view} hovered={hovered} />
      )}
      {isCut && <p class="fact more">{`The first ${formatCount(TRIALS_MAX)} trials`}</p>}
      <div class="overview">
        {best && <ValueTree title="Best parameters" root={best.params} empty="The trial has no parameters." />}
        <ValueTree title="Configuration" root={sweep.config} empty="The sweep has no configuration." />
      </div>
    </>
  );
}
