/** One version of an artifact: its header and the tab that the address names. */
import type { ComponentType } from "preact";

import { getVersion } from "../../api/artifacts.js";
import { ApiError } from "../../api/errors.js";
import { lazy } from "../../parts/lazy.js";
import { Failure, Notice } from "../../parts/Notice.js";
import { PageHeader } from "../../parts/PageHeader.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { useResource } from "../../state/resource.js";
import { pathOf, VERSION_TABS, type VersionTab } from "../../state/routes.js";
import "./artifacts.css";
import { DeleteVersion } from "./DeleteVersion.js";
import { Aliases } from "./VersionLink.js";
import type { VersionTabProps } from "./versionTab.js";

const TAB_PAGES: Readonly<Record<VersionTab, ComponentType<VersionTabProps>>> = {
  overview: lazy(() => import("./Overview.js").then((file) => file.Overview)),
  files: lazy(() => import("./Files.js").then((file) => file.Files)),
  lineage: lazy(() => import("./Lineage.js").then((file) => file.LineageTab)),
  compare: lazy(() => import("./Compare.js").then((file) => file.Compare)),
};

interface VersionPageProps {
  project: string;
  name: string;
  /** A number or an alias. */
  asked: string;
  tab: VersionTab;
}

export function VersionPage({ project, name, asked, tab }: VersionPageProps) {
  const resource = useResource(`${project}/${name}:${asked}`, (signal) =>
    getVersion({ project, name, version: asked }, { signal }),
  );
  const version = resource.data.value;
  const error = resource.error.value;
  const isGone = error instanceof ApiError && error.status === 404;
  const isDeleted = version?.state === "deleted";
  const isShown = version !== null && !isGone;
  const crumbs = [
    { label: project, href: pathOf({ page: "charts", project }) },
    { label: "Artifacts", href: pathOf({ page: "artifacts", project }) },
    { label: `${name}:${version?.version || asked}` },
  ];
  const TabPage = TAB_PAGES[tab];
  return (
    <main>
      <PageHeader crumbs={crumbs}>
        {isShown && <Aliases aliases={version.aliases} />}
        {isShown && !isDeleted && <DeleteVersion version={version} onChanged={() => void resource.load()} />}
      </PageHeader>
      {isShown && (
        <nav class="tabs" aria-label="Parts of the version">
          {VERSION_TABS.filter((each) => !isDeleted || each === "lineage").map((each) => (
            <a
              key={each}
              href={pathOf({ page: "version", project, name, version: asked, tab: each })}
              aria-current={each === tab ? "page" : undefined}
            >
              {each[0]?.toUpperCase() + each.slice(1)}
            </a>
          ))}
        </nav>
      )}
      {isGone && <GoneVersion project={project} name={name} asked={asked} />}
      {error && !isGone && !version && (
        <Failure what="The version could not be read" error={error} onRetry={() => void resource.load()} />
      )}
      {!version && !error && <Skeleton rows={12} />}
      {isShown && isDeleted && tab !== "lineage" && (
        <Notice title={`${name}:${version.version} was deleted`}>
          <p>Its number is not used again. The lineage keeps its name.</p>
          <a href={pathOf({ page: "version", project, name, version: version.version, tab: "lineage" })}>Lineage</a>
          <a href={pathOf({ page: "artifacts", project })}>{`Artifacts of ${project}`}</a>
        </Notice>
      )}
      {isShown && (!isDeleted || tab === "lineage") && (
        <TabPage
          key={version.id}
          address={{ project, name, version: version.version }}
          version={version}
          onChanged={resource.set}
          onReload={() => void resource.load()}
        />
      )}
    </main>
  );
}

function GoneVersion({ project, name, asked }: { project: string; name: string; asked: string }) {
  return (
    <Notice title={`There is no ${name}:${asked}`}>
      <p>The name is mistyped, the alias was removed, or the version is not committed yet.</p>
      <a href={pathOf({ page: "artifacts", project })}>{`Artifacts of ${project}`}</a>
    </Notice>
  );
}
