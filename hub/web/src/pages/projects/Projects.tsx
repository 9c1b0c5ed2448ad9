/** All projects of the hub, those with the latest activity first. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { listProjects } from "../../api/hub.js";
import type { ProjectOverview, ProjectsPage } from "../../api/types.js";
import { Age } from "../../parts/Age.js";
import { formatCount } from "../../parts/format.js";
import { Failure, Notice } from "../../parts/Notice.js";
import { PageHeader } from "../../parts/PageHeader.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { useResource } from "../../state/resource.js";
import { pathOf } from "../../state/routes.js";
import { useLive } from "../../state/useLive.js";
import { FirstRun } from "./FirstRun.js";

const PAGE = 200;
const SEARCH_DELAY_MS = 150;

export function Projects() {
  const search = useSignal("");
  const projects = useResource<ProjectsPage>("projects", (signal) => listProjects({ limit: PAGE }, { signal }));
  // What the list was last asked for. The first question, without a search, is the resource's own.
  const asked = useRef("");
  useEffect(() => {
    const wanted = search.value;
    if (wanted === asked.current) return;
    const timer = setTimeout(() => {
      asked.current = wanted;
      void projects.load((signal) => listProjects({ limit: PAGE, search: wanted }, { signal }));
    }, SEARCH_DELAY_MS);
    return () => clearTimeout(timer);
  }, [search.value]);
  const more = async (cursor: string) => {
    const before = projects.data.value?.projects ?? [];
    const next = await listProjects({ limit: PAGE, search: search.value, cursor });
    const without_runs = projects.data.value?.without_runs ?? [];
    projects.set({ ...next, without_runs, projects: [...before, ...next.projects] });
  };
  const page = projects.data.value;
  const error = projects.error.value;
  const isEmptyHub = page !== null && page.projects.length === 0 && search.value === "";
  const withoutRuns = page?.without_runs ?? [];
  // An empty hub's notice watches by itself: it opens the first run instead of listing it.
  useLive(isEmptyHub ? null : { project: null, runs: [], metrics: [] }, () => void projects.load());
  return (
    <main>
      <PageHeader crumbs={[{ label: "Projects" }]}>
        {!isEmptyHub && (
          <input
            type="search"
            class="grow"
            data-key="/"
            aria-label="Search projects"
            placeholder="Search projects"
            value={search.value}
            onInput={(event) => (search.value = event.currentTarget.value)}
          />
        )}
      </PageHeader>
      {error && (
        <Failure what="The projects could not be read" error={error} onRetry={() => void projects.load()} />
      )}
      {!page && !error && <Skeleton />}
      {isEmptyHub && <FirstRun />}
      {page && page.projects.length === 0 && withoutRuns.length === 0 && search.value !== "" && (
        <Notice title={`No project's name has “${search.value}”`}>
          <button type="button" onClick={() => (search.value = "")}>Show all projects</button>
        </Notice>
      )}
      {page && page.projects.length > 0 && <ProjectsTable projects={page.projects} />}
      {withoutRuns.length > 0 && <WithoutRuns projects={withoutRuns} />}
      {page?.next_cursor != null && (
        <p class="more">
          <button type="button" onClick={() => void more(page.next_cursor as string)}>More projects</button>
        </p>
      )}
    </main>
  );
}

function WithoutRuns({ projects }: { projects: readonly string[] }) {
  return (
    <section class="without-runs" aria-label="Projects without runs">
      <header class="card-head">
        <h2>Without runs</h2>
        <span class="fact">They have sweeps, reports or artifacts.</span>
      </header>
      <ul>
        {projects.map((project) => (
          <li key={project}><a href={pathOf({ page: "charts", project })}>{project}</a></li>
        ))}
      </ul>
    </section>
  );
}

function ProjectsTable({ projects }: { projects: readonly ProjectOverview[] }) {
  return (
    <table class="rows projects">
      <thead>
        <tr>
          <th scope="col">Project</th>
          <th scope="col" class="number">Runs</th>
          <th scope="col">Running</th>
          <th scope="col">Last activity</th>
          <th scope="col" class="wide">First run</th>
          <th scope="col" class="wide"><span class="off-screen">Pages</span></th>
        </tr>
      </thead>
      <tbody>
        {projects.map((each) => (
          <ProjectRow key={each.project} overview={each} />
        ))}
      </tbody>
    </table>
  );
}

function ProjectRow({ overview }: { overview: ProjectOverview }) {
  const { project } = overview;
  return (
    <tr>
      <th scope="row">
        <a href={pathOf({ page: "charts", project })} title={project}>{project}</a>
      </th>
      <td class="number">
        {formatCount(overview.run_count)}
        {overview.archived_count > 0 && (
          <span class="fact">{`, ${formatCount(overview.archived_count)} archived`}</span>
        )}
      </td>
      <td>
        {overview.running_count > 0 && <span class="badge live">{`${formatCount(overview.running_count)} live`}</span>}
      </td>
      <td><Age moment={overview.last_activity_at} /></td>
      <td class="wide"><Age moment={overview.started_at} /></td>
      <td class="wide fact">
        <a href={pathOf({ page: "table", project })}>Table</a>
      </td>
    </tr>
  );
}
