/**
 * Routes: which page a path names, and the path of a page. Pure.
 *
 *     /                                projects
 *     /p/PROJECT                       charts
 *     /p/PROJECT/table                 runs table
 *     /p/PROJECT/media                 media of several runs
 *     /p/PROJECT/sweeps                sweeps of a project
 *     /p/PROJECT/sweeps/ID             one sweep and its trials
 *     /p/PROJECT/reports               reports of a project
 *     /p/PROJECT/reports/ID[/edit]     one report, or its editor
 *     /p/PROJECT/artifacts             artifacts of a project
 *     /p/PROJECT/artifacts/NAME/VERSION[/TAB]   one version, by number or alias
 *     /p/PROJECT/runs/ID[/TAB]         run; the first tab, charts, has no segment of its own
 *     /status                          hub, daemon and store
 */

export const RUN_TABS = ["charts", "overview", "media", "logs", "system", "artifacts"] as const;
export type RunTab = (typeof RUN_TABS)[number];
export const VERSION_TABS = ["overview", "files", "lineage", "compare"] as const;
export type VersionTab = (typeof VERSION_TABS)[number];

export type Route =
  | { page: "projects" }
  | { page: "charts"; project: string }
  | { page: "table"; project: string }
  | { page: "media"; project: string }
  | { page: "sweeps"; project: string }
  | { page: "sweep"; project: string; sweepId: string }
  | { page: "reports"; project: string }
  | { page: "report"; project: string; reportId: string; isEdited: boolean }
  | { page: "artifacts"; project: string }
  | { page: "version"; project: string; name: string; version: string; tab: VersionTab }
  | { page: "run"; project: string; runId: string; tab: RunTab }
  | { page: "status" }
  | { page: "missing"; path: string };

export function parsePath(path: string): Route {
  const missing: Route = { page: "missing", path };
  const segments = path.split("/").filter((segment) => segment !== "").map(decode);
  // No name has a slash, and the hub's paths have no place for one.
  if (segments.some((segment) => segment === null || segment.includes("/"))) return missing;
  const [first, project, section, id, tab, part, ...rest] = segments as string[];
  if (first === undefined) return { page: "projects" };
  if (first === "status" && project === undefined) return { page: "status" };
  if (first !== "p" || project === undefined || rest.length > 0) return missing;
  if (section === undefined) return { page: "charts", project };
  if (part !== undefined && section !== "artifacts") return missing;
  if (section === "table" && id === undefined) return { page: "table", project };
  if (section === "media" && id === undefined) return { page: "media", project };
  if (section === "sweeps" && id === undefined) return { page: "sweeps", project };
  if (section === "sweeps" && id !== undefined && tab === undefined) return { page: "sweep", project, sweepId: id };
  if (section === "reports" && id === undefined) return { page: "reports", project };
  if (section === "reports" && id !== undefined && (tab === undefined || tab === "edit"))
    return { page: "report", project, reportId: id, isEdited: tab === "edit" };
  if (section === "artifacts" && id === undefined) return { page: "artifacts", project };
  if (section === "artifacts" && id !== undefined) return versionRoute(project, id, tab, part) ?? missing;
  if (section !== "runs" || id === undefined) return missing;
  if (tab === undefined) return { page: "run", project, runId: id, tab: "charts" };
  if (!isRunTab(tab)) return missing;
  return { page: "run", project, runId: id, tab };
}

export function pathOf(route: Route): string {
  switch (route.page) {
    case "projects":
      return "/";
    case "status":
      return "/status";
    case "charts":
      return `/p/${encodeURIComponent(route.project)}`;
    case "table":
      return `/p/${encodeURIComponent(route.project)}/table`;
    case "media":
      return `/p/${encodeURIComponent(route.project)}/media`;
    case "sweeps":
      return `/p/${encodeURIComponent(route.project)}/sweeps`;
    case "sweep":
      return `/p/${encodeURIComponent(route.project)}/sweeps/${encodeURIComponent(route.sweepId)}`;
    case "reports":
      return `/p/${encodeURIComponent(route.project)}/reports`;
    case "report": {
      const report = `/p/${encodeURIComponent(route.project)}/reports/${encodeURIComponent(route.reportId)}`;
      return route.isEdited ? `${report}/edit` : report;
    }
    case "artifacts":
      return `/p/${encodeURIComponent(route.project)}/artifacts`;
    case "version": {
      const artifact = `/p/${encodeURIComponent(route.project)}/artifacts/${encodeURIComponent(route.name)}`;
      const version = `${artifact}/${encodeURIComponent(route.version)}`;
      return route.tab === "overview" ? version : `${version}/${route.tab}`;
    }
    case "run": {
      const run = `/p/${encodeURIComponent(route.project)}/runs/${encodeURIComponent(route.runId)}`;
      return route.tab === "charts" ? run : `${run}/${route.tab}`;
    }
    case "missing":
      return route.path;
  }
}

/** Without a version it is the newest. */
function versionRoute(project: string, name: string, version = "latest", tab = "overview"): Route | null {
  const known = VERSION_TABS.find((each) => each === tab);
  return known ? { page: "version", project, name, version, tab: known } : null;
}

function isRunTab(text: string): text is RunTab {
  return (RUN_TABS as readonly string[]).includes(text);
}

function decode(segment: string): string | null {
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}
