/** The page of the route, in the shell. Pages are chunks of their own, loaded when opened. */
import { isSignedOut } from "./api/client.js";
import { Missing } from "./pages/Missing.js";
import { SignedOut } from "./pages/SignedOut.js";
import { lazy } from "./parts/lazy.js";
import { Shell } from "./parts/Shell.js";
import { route } from "./state/navigation.js";
import type { Route } from "./state/routes.js";

const Artifacts = lazy(() => import("./pages/artifacts/Artifacts.js").then((file) => file.Artifacts));
const Charts = lazy(() => import("./pages/charts/Charts.js").then((file) => file.Charts));
const MediaWall = lazy(() => import("./pages/media/MediaWall.js").then((file) => file.MediaWall));
const Projects = lazy(() => import("./pages/projects/Projects.js").then((file) => file.Projects));
const Editor = lazy(() => import("./pages/reports/Editor.js").then((file) => file.Editor));
const Report = lazy(() => import("./pages/reports/Report.js").then((file) => file.ReportPage));
const Reports = lazy(() => import("./pages/reports/Reports.js").then((file) => file.Reports));
const Run = lazy(() => import("./pages/run/Run.js").then((file) => file.Run));
const Sweep = lazy(() => import("./pages/sweeps/Sweep.js").then((file) => file.SweepPage));
const Sweeps = lazy(() => import("./pages/sweeps/Sweeps.js").then((file) => file.Sweeps));
const Version = lazy(() => import("./pages/artifacts/Version.js").then((file) => file.VersionPage));
const Table = lazy(() => import("./pages/table/Table.js").then((file) => file.Table));
const Status = lazy(() => import("./pages/status/Status.js").then((file) => file.Status));

export function App() {
  if (isSignedOut.value) return <SignedOut />;
  return (
    <Shell route={route.value}>
      <Page route={route.value} />
    </Shell>
  );
}

function Page({ route }: { route: Route }) {
  switch (route.page) {
    case "projects":
      return <Projects />;
    case "status":
      return <Status />;
    case "charts":
      return <Charts key={route.project} project={route.project} />;
    case "table":
      return <Table key={route.project} project={route.project} />;
    case "media":
      return <MediaWall key={route.project} project={route.project} />;
    case "sweeps":
      return <Sweeps key={route.project} project={route.project} />;
    case "sweep":
      return <Sweep key={route.sweepId} project={route.project} sweepId={route.sweepId} />;
    case "reports":
      return <Reports key={route.project} project={route.project} />;
    case "report": {
      const Shown = route.isEdited ? Editor : Report;
      return <Shown key={route.reportId} project={route.project} reportId={route.reportId} />;
    }
    case "artifacts":
      return <Artifacts key={route.project} project={route.project} />;
    case "version": {
      const { project, name, version, tab } = route;
      return <Version key={`${project}/${name}`} project={project} name={name} asked={version} tab={tab} />;
    }
    case "run":
      return <Run key={route.project} project={route.project} runId={route.runId} tab={route.tab} />;
    case "missing":
      return <Missing />;
  }
}
