/** The sweeps of a project, the newest first. */
import { ApiError } from "../../api/errors.js";
import { listSweeps, type Sweep } from "../../api/sweeps.js";
import { Age } from "../../parts/Age.js";
import { formatCount, formatNumber } from "../../parts/format.js";
import { Failure } from "../../parts/Notice.js";
import { PageHeader } from "../../parts/PageHeader.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { now } from "../../state/clock.js";
import { usePolling } from "../../state/polling.js";
import { useResource } from "../../state/resource.js";
import { pathOf } from "../../state/routes.js";
import { NoSweeps } from "./NoSweeps.js";
import { SweepBadge } from "./SweepBadge.js";
import "./sweeps.css";
import { isActive, trialCount } from "./trials.js";

const SHOWN_MAX = 200;

export function Sweeps({ project }: { project: string }) {
  const resource = useResource(`sweeps ${project}`, (signal) => listSweeps({ project, limit: SHOWN_MAX }, { signal }));
  const page = resource.data.value;
  const error = resource.error.value;
  // An empty list waits for its first sweep.
  const isWaiting = page === null || page.sweeps.length === 0;
  usePolling(resource, isWaiting || page.sweeps.some((sweep) => isActive(sweep, now.value)));
  return (
    <main>
      <PageHeader crumbs={[{ label: project, href: pathOf({ page: "charts", project }) }, { label: "Sweeps" }]} />
      {error && (!page || error instanceof ApiError) && (
        <Failure what="The sweeps could not be read" error={error} onRetry={() => void resource.load()} />
      )}
      {!page && !error && <Skeleton />}
      {page?.sweeps.length === 0 && <NoSweeps project={project} />}
      {page && page.sweeps.length > 0 && <SweepsTable sweeps={page.sweeps} />}
      {page?.next_cursor != null && <p class="fact more">{`The newest ${formatCount(SHOWN_MAX)} sweeps`}</p>}
    </main>
  );
}

function SweepsTable({ sweeps }: { sweeps: readonly Sweep[] }) {
  return (
    <div class="scroll-x" tabIndex={0} role="group" aria-label="Table of sweeps">
      <table class="rows">
        <thead>
          <tr>
            <th scope="col">Sweep</th>
            <th scope="col">State</th>
            <th scope="col" class="wide">Method</th>
            <th scope="col" class="wide">Metric</th>
            <th scope="col" class="number">Best</th>
            <th scope="col" class="number">Trials</th>
            <th scope="col" class="number wide">Running</th>
            <th scope="col" class="number wide">Failed</th>
            <th scope="col" class="number wide">Agents</th>
            <th scope="col">Created</th>
          </tr>
        </thead>
        <tbody>
          {sweeps.map((sweep) => <SweepRow key={sweep.id} sweep={sweep} />)}
        </tbody>
      </table>
    </div>
  );
}

function SweepRow({ sweep }: { sweep: Sweep }) {
  const { id, project, name, metric, best, counts, expected_trials, agents } = sweep;
  const expected = expected_trials === null ? "" : ` of ${formatCount(expected_trials)}`;
  return (
    <tr>
      <th scope="row">
        <a href={pathOf({ page: "sweep", project, sweepId: id })} title={id}>{name || id}</a>
      </th>
      <td><SweepBadge state={sweep.state} /></td>
      <td class="wide">{sweep.method}</td>
      <td class="wide">{metric && `${metric.name}, ${metric.goal}`}</td>
      <td class="number">{best && formatNumber(best.value)}</td>
      <td class="number">{formatCount(trialCount(sweep)) + expected}</td>
      <td class="number wide">{formatCount(counts.running)}</td>
      <td class="number wide">{formatCount(counts.failed + counts.crashed)}</td>
      <td class="number wide">{formatCount(agents.filter(({ is_alive }) => is_alive).length)}</td>
      <td><Age moment={sweep.created_at} /></td>
    </tr>
  );
}
