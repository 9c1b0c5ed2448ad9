/** All projects of the hub, those with the latest activity first. */
import { listProjects } from "../../api/hub.js";
import type { ProjectOverview } from "../../api/types.js";
import { Age } from "../../parts/Age.js";
import { formatCount } from "../../parts/format.js";
import { Failure } from "../../parts/Notice.js";
import { PageHeader } from "../../parts/PageHeader.js";
import { useResource } from "../../state/resource.js";
import { pathOf } from "../../state/routes.js";

export function Projects() {
  const projects = useResource("projects", (signal) => listProjects({ limit: 200 }, { signal }));
  const { data, error } = projects;
  return (
    <main>
      <PageHeader crumbs={[{ label: "Projects" }]} />
      {error.value && (
        <Failure what="The projects could not be read" error={error.value} onRetry={() => projects.load()} />
      )}
      {data.value && <ProjectsTable projects={data.value.projects} />}
    </main>
  );
}

function ProjectsTable({ projects }: { projects: readonly ProjectOverview[] }) {
  return (
    <table class="rows">
      <thead>
        <tr>
          <th scope="col">Project</th>
          <th scope="col" class="number">Runs</th>
          <th scope="col" class="number">Running</th>
          <th scope="col">Last activity</th>
        </tr>
      </thead>
      <tbody>
        {projects.map((each) => (
          <tr key={each.project}>
            <th scope="row">
              <a href={pathOf({ page: "charts", project: each.project })}>{each.project}</a>
            </th>
            <td class="number">{formatCount(each.run_count)}</td>
            <td class="number">{each.running_count > 0 && formatCount(each.running_count)}</td>
            <td>
              <Age moment={each.last_activity_at} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
