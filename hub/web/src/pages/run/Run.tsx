/** One run: its header and the tab that the address names. */
import type { ComponentType } from "preact";

import { getRun } from "../../api/hub.js";
import type { RunChanges, RunDetail } from "../../api/types.js";
import { Editable } from "../../parts/Editable.js";
import { lazy } from "../../parts/lazy.js";
import { Failure } from "../../parts/Notice.js";
import { PageHeader } from "../../parts/PageHeader.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { StateBadge } from "../../parts/StateBadge.js";
import { changeDetail } from "../../state/edits.js";
import { runColor } from "../../state/palette.js";
import { useResource, type Resource } from "../../state/resource.js";
import { pathOf, RUN_TABS, type RunTab } from "../../state/routes.js";
import { theme } from "../../state/theme.js";
import { useLive } from "../../state/useLive.js";

export interface RunTabProps {
  run: RunDetail;
  /** Change the run, on the page at once. */
  onChange(changes: RunChanges): void;
  /** The hub says that the run changed: read it again. */
  onRefresh?(): void;
}

const TAB_PAGES: Readonly<Record<RunTab, ComponentType<RunTabProps> | null>> = {
  charts: lazy(() => import("../charts/RunCharts.js").then((file) => file.RunCharts)),
  overview: lazy(() => import("./Overview.js").then((file) => file.Overview)),
  media: lazy(() => import("../media/RunMedia.js").then((file) => file.RunMedia)),
  logs: lazy(() => import("./Logs.js").then((file) => file.Logs)),
  system: lazy(() => import("./System.js").then((file) => file.System)),
};

interface RunProps {
  project: string;
  runId: string;
  tab: RunTab;
}

export function Run({ project, runId, tab }: RunProps) {
  const resource = useResource(`${project}/${runId}`, (signal) => getRun(project, runId, { signal }));
  // The charts watch the run themselves, with its series.
  const watch = tab === "charts" ? null : { project, runs: [runId], metrics: [] };
  useLive(watch, () => void resource.load());
  const run = resource.data.value;
  const error = resource.error.value;
  const name = run?.name || runId;
  const charts = pathOf({ page: "charts", project });
  return (
    <main class={`run-page tab-${tab}`}>
      <PageHeader crumbs={[{ label: project, href: charts }, { label: name }]}>
        {run && (
          <Editable what="the name" value={run.name} onSave={(next) => void changeDetail(resource, { name: next })}>
            <span class="swatch" style={{ background: runColor(run, theme.value) }} />
            <StateBadge state={run.state} lastSeen={run.last_seen} exitCode={run.exit_code} always />
            {run.archived && <span class="badge other">archived</span>}
          </Editable>
        )}
      </PageHeader>
      <nav class="tabs" aria-label="Parts of the run">
        {RUN_TABS.filter((each) => TAB_PAGES[each] !== null).map((each) => (
          <a
            key={each}
            href={pathOf({ page: "run", project, runId, tab: each })}
            aria-current={each === tab ? "page" : undefined}
          >
            {each[0]?.toUpperCase() + each.slice(1)}
          </a>
        ))}
      </nav>
      {error && !run && (
        <Failure what="The run could not be read" error={error} onRetry={() => void resource.load()} />
      )}
      {!run && !error && <Skeleton rows={12} />}
      {run && <Tab run={run} tab={tab} resource={resource} />}
    </main>
  );
}

function Tab({ run, tab, resource }: { run: RunDetail; tab: RunTab; resource: Resource<RunDetail> }) {
  const Page = TAB_PAGES[tab];
  return (
    Page && (
      <Page
        key={run.run_id}
        run={run}
        onChange={(changes) => void changeDetail(resource, changes)}
        onRefresh={() => void resource.load()}
      />
    )
  );
}
