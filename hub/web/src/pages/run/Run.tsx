/** One run: its header and the tab that the address names. */
import type { ComponentType } from "preact";

import { ApiError } from "../../api/errors.js";
import { getRun } from "../../api/hub.js";
import type { RunDetail } from "../../api/types.js";
import { Editable } from "../../parts/Editable.js";
import { lazy } from "../../parts/lazy.js";
import { Failure, Notice } from "../../parts/Notice.js";
import { PageHeader } from "../../parts/PageHeader.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { StateBadge } from "../../parts/StateBadge.js";
import { changeDetail } from "../../state/edits.js";
import { runColor } from "../../state/palette.js";
import { useResource, type Resource } from "../../state/resource.js";
import { pathOf, RUN_TABS, type RunTab } from "../../state/routes.js";
import { theme } from "../../state/theme.js";
import { useLive } from "../../state/useLive.js";
import type { RunTabProps } from "./runTab.js";
import { SweepLink } from "./SweepLink.js";

const TAB_PAGES: Readonly<Record<RunTab, ComponentType<RunTabProps> | null>> = {
  charts: lazy(() => import("../charts/RunCharts.js").then((file) => file.RunCharts)),
  overview: lazy(() => import("./Overview.js").then((file) => file.Overview)),
  media: lazy(() => import("../media/RunMedia.js").then((file) => file.RunMedia)),
  logs: lazy(() => import("./Logs.js").then((file) => file.Logs)),
  artifacts: lazy(() => import("../artifacts/RunArtifacts.js").then((file) => file.RunArtifacts)),
  system: lazy(() => import("./System.js").then((file) => file.System)),
};

interface RunProps {
  project: string;
  runId: string;
  tab: RunTab;
}

export function Run({ project, runId, tab }: RunProps) {
  const resource = useResource(`${project}/${runId}`, (signal) => getRun(project, runId, { signal }));
  const run = resource.data.value;
  const error = resource.error.value;
  const isGone = error instanceof ApiError && error.status === 404;
  // The charts watch the run themselves, with its series; of a run that is gone there are none.
  const isWatchedByCharts = tab === "charts" && !isGone;
  const watch = isWatchedByCharts ? null : { project, runs: [runId], metrics: [] };
  useLive(watch, () => void resource.load());
  const name = run?.name || runId;
  const charts = pathOf({ page: "charts", project });
  return (
    <main class={`run-page tab-${tab}`}>
      <PageHeader crumbs={[{ label: project, href: charts }, { label: name }]}>
        {run && !isGone && (
          <Editable what="the name" value={run.name} onSave={(next) => void changeDetail(resource, { name: next })}>
            <span class="swatch" style={{ background: runColor(run, theme.value) }} />
            <StateBadge state={run.state} lastSeen={run.last_seen} exitCode={run.exit_code} always />
            {run.archived && <span class="badge other">archived</span>}
          </Editable>
        )}
        {run && !isGone && <SweepLink project={project} runId={runId} />}
      </PageHeader>
      {!isGone && <nav class="tabs" aria-label="Parts of the run">
        {RUN_TABS.filter((each) => TAB_PAGES[each] !== null).map((each) => (
          <a
            key={each}
            href={pathOf({ page: "run", project, runId, tab: each })}
            aria-current={each === tab ? "page" : undefined}
          >
            {each[0]?.toUpperCase() + each.slice(1)}
          </a>
        ))}
      </nav>}
      {isGone && <GoneRun project={project} runId={runId} />}
      {error && !run && !isGone && (
        <Failure what="The run could not be read" error={error} onRetry={() => void resource.load()} />
      )}
      {!run && !error && <Skeleton rows={12} />}
      {run && !isGone && <Tab run={run} tab={tab} resource={resource} />}
    </main>
  );
}

/** The address of a run that was deleted, also while it is open, or of one that never was. */
function GoneRun({ project, runId }: { project: string; runId: string }) {
  return (
    <Notice title={`There is no run ${runId}`}>
      <p>{`It was deleted, or no program logged into project ${project} under this id: it may have ended before its init call.`}</p>
      <SweepLink project={project} runId={runId} />
      <a href={pathOf({ page: "table", project })}>{`Runs of ${project}`}</a>
      <a href="/">All projects</a>
    </Notice>
  );
}

function Tab({ run, tab, resource }: { run: RunDetail; tab: RunTab; resource: Resource<RunDetail> }) {
  const Page = TAB_PAGES[tab];
  return (
    Page && (
      <Page
        key={run.run_id}
        run={run}
        onChange={(changes, before) => changeDetail(resource, changes, before)}
        onRefresh={() => void resource.load()}
      />
    )
  );
}
