/** What a run used and what it logged. */
import { listRunArtifacts, type LineageEdge, type Version, type VersionsPage } from "../../api/artifacts.js";
import { Age } from "../../parts/Age.js";
import { formatAmount, formatBytes, formatCount } from "../../parts/format.js";
import { Failure, Notice } from "../../parts/Notice.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { Snippet } from "../../parts/Snippet.js";
import { useFollow } from "../../state/follow.js";
import { usePolling } from "../../state/polling.js";
import { useResource, type Resource } from "../../state/resource.js";
import { pathOf } from "../../state/routes.js";
import { FailedArtifacts, hasFailedArtifacts } from "../run/FailedArtifacts.js";
import type { RunTabProps } from "../run/runTab.js";
import "./artifacts.css";
import { logLines } from "./snippets.js";
import { Aliases, VersionLink } from "./VersionLink.js";

const SHOWN_MAX = 1000;

export function RunArtifacts({ run }: RunTabProps) {
  const { project, run_id, state } = run;
  const ask = (kind: LineageEdge["kind"]) => (signal: AbortSignal) =>
    listRunArtifacts(project, run_id, { kind, limit: SHOWN_MAX }, { signal });
  const used = useResource(`used by ${project}/${run_id}`, ask("used"));
  const logged = useResource(`logged by ${project}/${run_id}`, ask("logged"));
  usePolling(used, state === "running");
  usePolling(logged, state === "running");
  // What a run logs as it ends.
  useFollow(used, [state]);
  useFollow(logged, [state]);
  const isEmpty = used.data.value?.versions.length === 0 && logged.data.value?.versions.length === 0;
  const hasFailed = hasFailedArtifacts(run.metadata);
  if (isEmpty && !hasFailed) {
    return (
      <Notice title="The run used and logged no artifact">
        <p>Log one in a script:</p>
        <Snippet text={logLines(project)} what="the Python lines" />
      </Notice>
    );
  }
  return (
    <div class="run-artifacts">
      <FailedArtifacts metadata={run.metadata} />
      <Part title="Used" empty="The run used no artifact." resource={used} project={project} />
      <Part title="Logged" empty="The run logged no artifact." resource={logged} project={project} />
    </div>
  );
}

interface PartProps {
  title: string;
  empty: string;
  resource: Resource<VersionsPage>;
  project: string;
}

function Part({ title, empty, resource, project }: PartProps) {
  const page = resource.data.value;
  const error = resource.error.value;
  return (
    <section class="card" aria-label={`${title} artifacts`}>
      <header class="card-head">
        <h2>{title}</h2>
        <span class="fact">{page && page.versions.length > 0 && formatAmount(page.versions.length, "version")}</span>
      </header>
      {error && !page && <Failure what="The artifacts could not be read" error={error} onRetry={() => void resource.load()} />}
      {!page && !error && <Skeleton rows={4} />}
      {page?.versions.length === 0 && <p class="fact">{empty}</p>}
      {page && page.versions.length > 0 && (
        <div class="scroll-x" tabIndex={0} role="group" aria-label={`Table of ${title.toLowerCase()} artifacts`}>
          <table class="rows">
            <tbody>{page.versions.map((each) => <Row key={each.id} version={each} project={project} />)}</tbody>
          </table>
        </div>
      )}
      {page?.next_cursor != null && <p class="fact">{`The first ${formatCount(SHOWN_MAX)}`}</p>}
    </section>
  );
}

function Row({ version, project }: { version: Version; project: string }) {
  return (
    <tr>
      <th scope="row"><VersionLink version={version} project={project} /> <Aliases aliases={version.aliases} /></th>
      <td>{version.type}</td>
      <td class="number">{formatAmount(version.file_count, "file")}</td>
      <td class="number">{formatBytes(version.size)}</td>
      <td class="wide"><Age moment={version.committed_at} /></td>
      <td>
        <a href={pathOf({ page: "version", project: version.project, name: version.name, version: version.version, tab: "lineage" })}>
          Lineage
        </a>
      </td>
    </tr>
  );
}
