/** A report as its readers see it: live, or as an earlier version had it. */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { ApiError } from "../../api/errors.js";
import { deleteReport, exportUrl, getReport, readDraft, saveReport, type Block, type Report } from "../../api/reports.js";
import { Age } from "../../parts/Age.js";
import { Dialog } from "../../parts/Dialog.js";
import { formatMoment } from "../../parts/format.js";
import { Failure, Notice } from "../../parts/Notice.js";
import { PageHeader } from "../../parts/PageHeader.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { copyText } from "../../state/clipboard.js";
import { navigate, viewState } from "../../state/navigation.js";
import { number } from "../../state/query.js";
import { useResource } from "../../state/resource.js";
import { pathOf } from "../../state/routes.js";
import { say } from "../../state/toasts.js";
import { ReportDocument } from "./ReportDocument.js";
import "./reports.css";
import { Versions } from "./Versions.js";

const FIELDS = {
  /** The version that is shown; 0: the newest. */
  v: number(0),
};

interface ReportAndBlocks {
  report: Report;
  blocks: readonly Block[];
}

async function readAll(reportId: string, version: number | null, signal: AbortSignal): Promise<ReportAndBlocks> {
  const report = await getReport(reportId, version, { signal });
  const { blocks } = await readDraft(report.text, { signal });
  return { report, blocks };
}

export function ReportPage({ project, reportId }: { project: string; reportId: string }) {
  const view = useMemo(() => viewState(FIELDS), []);
  const asked = view.values.value.v || null;
  const resource = useResource(`report ${reportId} ${asked}`, (signal) => readAll(reportId, asked, signal));
  const found = resource.data.value;
  const error = resource.error.value;
  const isGone = error instanceof ApiError && error.status === 404;
  const isElsewhere = found !== null && found.report.project !== project;
  const isShown = found !== null && !isGone && !isElsewhere;
  useEffect(() => {
    // The address names a heading: it exists only now.
    if (isShown && location.hash !== "") document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
  }, [isShown]);
  const crumbs = [
    { label: project, href: pathOf({ page: "charts", project }) },
    { label: "Reports", href: pathOf({ page: "reports", project }) },
    { label: found?.report.title || reportId },
  ];
  return (
    <main>
      <PageHeader crumbs={crumbs}>
        {isShown && <Actions report={found.report} isOld={asked !== null} />}
      </PageHeader>
      {isGone && (
        <Notice title={asked === null ? `There is no report ${reportId}` : `Version ${asked} of this report was deleted`}>
          <p>{asked === null ? "It was deleted, its id is mistyped, or another hub has it." : error.message}</p>
          <a href={pathOf({ page: "reports", project })}>{`Reports of ${project}`}</a>
        </Notice>
      )}
      {isElsewhere && !isGone && (
        <Notice title={`Report ${reportId} is not of project ${project}`}>
          <a href={pathOf({ page: "report", project: found.report.project, reportId, isEdited: false })}>
            {`It is of project ${found.report.project}`}
          </a>
        </Notice>
      )}
      {error && !isGone && (!found || error instanceof ApiError) && (
        <Failure what="The report could not be read" error={error} onRetry={() => void resource.load()} />
      )}
      {!found && !error && <Skeleton rows={12} />}
      {isShown && (
        <div class="report-page">
          <h2 class="report-title">{found.report.title}</h2>
          <p class="fact">
            {asked === null ? "Saved " : `Version ${found.report.version} of `}
            {asked === null ? <Age moment={found.report.updated_at} /> : formatMoment(found.report.updated_at)}
            {asked === null && `, version ${found.report.version}. Panels show the runs as they are now.`}
          </p>
          {found.report.text.trim() === "" && <p class="panel-empty">The report has no text yet.</p>}
          <ReportDocument project={project} blocks={found.blocks} />
        </div>
      )}
    </main>
  );
}

function Actions({ report, isOld }: { report: Report; isOld: boolean }) {
  const { id: reportId, project, title } = report;
  const isAsked = useSignal(false);
  const areVersionsOpen = useSignal(false);
  const isBusy = useSignal(false);
  const path = pathOf({ page: "report", project, reportId, isEdited: false });
  const remove = async () => {
    isBusy.value = true;
    try {
      await deleteReport(reportId);
      say(`The report ${title} is deleted`);
      navigate(pathOf({ page: "reports", project }));
    } catch (failure) {
      say(`The report was not deleted: ${(failure as Error).message}`, "bad");
    }
    isBusy.value = false;
    isAsked.value = false;
  };
  const restore = async () => {
    isBusy.value = true;
    try {
      const newest = await getReport(reportId, null);
      await saveReport(reportId, { version: newest.version, title, text: report.text });
      say(`Version ${report.version} is the newest again`);
      navigate(path);
    } catch (failure) {
      say(`The version was not restored: ${(failure as Error).message}`, "bad");
    }
    isBusy.value = false;
  };
  return (
    <span class="actions">
      {isOld ? (
        <>
          <a class="button" href={path}>Newest version</a>
          <button type="button" disabled={isBusy.value} onClick={() => void restore()}>Restore this version</button>
        </>
      ) : (
        <>
          <a class="button" href={pathOf({ page: "report", project, reportId, isEdited: true })}>Edit</a>
          <button type="button" onClick={() => void copyLink(location.origin + path)}>Copy link</button>
          <a class="button" href={exportUrl(reportId)} download title="One HTML file with the current numbers">Export</a>
        </>
      )}
      <button type="button" onClick={() => (areVersionsOpen.value = true)}>Versions</button>
      {!isOld && <button type="button" class="danger" onClick={() => (isAsked.value = true)}>Delete…</button>}
      {areVersionsOpen.value && <Versions report={report} onClose={() => (areVersionsOpen.value = false)} />}
      {isAsked.value && (
        <Dialog title="Delete this report?" onClose={() => (isAsked.value = false)}>
          <p>{`"${title}" and its earlier versions are deleted permanently. Runs and their data stay.`}</p>
          <div class="dialog-actions">
            <button type="button" onClick={() => (isAsked.value = false)}>Back</button>
            <button type="button" class="danger" disabled={isBusy.value} onClick={() => void remove()}>Delete the report</button>
          </div>
        </Dialog>
      )}
    </span>
  );
}

async function copyLink(address: string): Promise<void> {
  if (await copyText(address)) say("The report's address is copied");
  else say(`The browser did not copy the address: ${address}`, "bad");
}
