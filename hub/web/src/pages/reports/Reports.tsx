/** The reports of a project, the one that was saved last first. */
import { useSignal } from "@preact/signals";

import { ApiError } from "../../api/errors.js";
import { listReports, type ReportOverview } from "../../api/reports.js";
import { Age } from "../../parts/Age.js";
import { formatBytes, formatCount } from "../../parts/format.js";
import { Failure } from "../../parts/Notice.js";
import { PageHeader } from "../../parts/PageHeader.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { Snippet } from "../../parts/Snippet.js";
import { useResource } from "../../state/resource.js";
import { pathOf } from "../../state/routes.js";
import { startReport } from "./newReport.js";
import "./reports.css";

const SHOWN_MAX = 200;

export function Reports({ project }: { project: string }) {
  const resource = useResource(`reports ${project}`, (signal) => listReports(project, { limit: SHOWN_MAX }, { signal }));
  const page = resource.data.value;
  const error = resource.error.value;
  return (
    <main>
      <PageHeader crumbs={[{ label: project, href: pathOf({ page: "charts", project }) }, { label: "Reports" }]}>
        <NewReport project={project} />
      </PageHeader>
      {error && (!page || error instanceof ApiError) && (
        <Failure what="The reports could not be read" error={error} onRetry={() => void resource.load()} />
      )}
      {!page && !error && <Skeleton />}
      {page?.reports.length === 0 && <NoReports project={project} />}
      {page && page.reports.length > 0 && <ReportsTable reports={page.reports} />}
      {page?.next_cursor != null && <p class="fact more">{`The newest ${formatCount(SHOWN_MAX)} reports`}</p>}
    </main>
  );
}

function NewReport({ project }: { project: string }) {
  const isBusy = useSignal(false);
  const start = async () => {
    isBusy.value = true;
    await startReport(project);
    isBusy.value = false;
  };
  return (
    <span class="actions">
      <button
        type="button"
        class="primary"
        title="Saves an untitled report at once, and opens it in the editor"
        disabled={isBusy.value}
        onClick={() => void start()}
      >
        New report
      </button>
    </span>
  );
}

function NoReports({ project }: { project: string }) {
  return (
    <section class="first-run" aria-label="The first report">
      <h2>No report yet</h2>
      <p>A report is a text with live charts, tables and images of this project's runs. Write one here, or in Python:</p>
      <Snippet text={pythonLines(project)} what="the Python lines" />
    </section>
  );
}

function pythonLines(project: string): string {
  return [
    "import stepwell",
    "",
    'text = """',
    "# Results",
    "",
    "```stepwell",
    "panel: line",
    "metrics: loss",
    "```",
    '"""',
    `print(stepwell.report("Results", text, project=${JSON.stringify(project)}).url)`,
  ].join("\n");
}

function ReportsTable({ reports }: { reports: readonly ReportOverview[] }) {
  return (
    <div class="scroll-x" tabIndex={0} role="group" aria-label="Table of reports">
      <table class="rows">
        <thead>
          <tr>
            <th scope="col">Report</th>
            <th scope="col">Saved</th>
            <th scope="col" class="wide">Created</th>
            <th scope="col" class="number wide">Version</th>
            <th scope="col" class="number wide">Size</th>
          </tr>
        </thead>
        <tbody>
          {reports.map(({ id, project, title, version, size, created_at, updated_at }) => (
            <tr key={id}>
              <th scope="row" class="report-name">
                <a href={pathOf({ page: "report", project, reportId: id, isEdited: false })} title={id}>{title}</a>
              </th>
              <td><Age moment={updated_at} /></td>
              <td class="wide"><Age moment={created_at} /></td>
              <td class="number wide">{formatCount(version)}</td>
              <td class="number wide">{formatBytes(size)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
