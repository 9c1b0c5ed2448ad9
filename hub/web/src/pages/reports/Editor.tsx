/** The editor of a report: its text, and beside it the preview. */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";

import { ApiError } from "../../api/errors.js";
import { getReport, readDraft, saveReport, type Block, type Report } from "../../api/reports.js";
import { Age } from "../../parts/Age.js";
import { formatMoment } from "../../parts/format.js";
import { Failure, Notice } from "../../parts/Notice.js";
import { PageHeader } from "../../parts/PageHeader.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { askBeforeLeaving } from "../../state/leaving.js";
import { makeResource, useResource } from "../../state/resource.js";
import { pathOf } from "../../state/routes.js";
import { throttled } from "../../state/throttled.js";
import { say } from "../../state/toasts.js";
import { browserKeeper, makeDraft, type Draft } from "./draft.js";
import { insertedAt, lineStart } from "./editing.js";
import { startReport } from "./newReport.js";
import { PanelHelp } from "./PanelHelp.js";
import { ReportDocument } from "./ReportDocument.js";
import "./reports.css";

const PREVIEW_MS = 250;
const TITLE_CHARACTERS_MAX = 256;

export function Editor({ project, reportId }: { project: string; reportId: string }) {
  const resource = useResource(`edit ${reportId}`, (signal) => getReport(reportId, null, { signal }));
  const report = resource.data.value;
  const error = resource.error.value;
  const isGone = error instanceof ApiError && error.status === 404;
  if (report !== null && report.project === project) return <Writing report={report} />;
  const list = pathOf({ page: "reports", project });
  return (
    <main>
      <PageHeader crumbs={[{ label: project, href: pathOf({ page: "charts", project }) }, { label: "Reports", href: list }]} />
      {error && !isGone && <Failure what="The report could not be read" error={error} onRetry={() => void resource.load()} />}
      {!error && report === null && <Skeleton rows={12} />}
      {(isGone || report !== null) && (
        <Notice title={`There is no report ${reportId} in project ${project}`}>
          <a href={list}>{`Reports of ${project}`}</a>
        </Notice>
      )}
    </main>
  );
}

function Writing({ report }: { report: Report }) {
  const { project, id: reportId } = report;
  const draft = useMemo(() => makeDraft(report, saveReport, browserKeeper, Date.now), [report]);
  const preview = useMemo(() => makeResource((signal) => readDraft(draft.text.peek(), { signal })), [draft]);
  const refresh = useMemo(() => throttled(PREVIEW_MS, () => void preview.load()), [preview]);
  const area = useRef<HTMLTextAreaElement>(null);
  const shows = useSignal<"text" | "preview">("text");
  useEffect(() => {
    void preview.load();
    return () => (refresh.cancel(), preview.abort());
  }, [preview]);
  useEffect(
    () => askBeforeLeaving(() => (draft.isUnsaved.peek() ? "The text is not saved. Leave the editor? The browser keeps the text." : null)),
    [draft],
  );
  const write = (text: string) => {
    draft.change({ text });
    refresh.call();
  };
  const save = async () => {
    if (draft.title.peek().trim() === "") return say("A report needs a title", "bad");
    if (await draft.save()) say("The report is saved");
  };
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (!(event.ctrlKey || event.metaKey) || event.altKey || event.key.toLowerCase() !== "s") return;
      event.preventDefault();
      void save();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [draft]);
  const insert = (text: string) => {
    const at = area.current?.selectionEnd ?? draft.text.peek().length;
    const next = insertedAt(draft.text.peek(), at, text);
    write(next.text);
    shows.value = "text";
    requestAnimationFrame(() => {
      area.current?.focus();
      area.current?.setSelectionRange(next.cursor, next.cursor);
    });
  };
  const goToLine = (line: number) => {
    shows.value = "text";
    requestAnimationFrame(() => {
      const field = area.current;
      if (field === null) return;
      const [from, to] = lineStart(field.value, line);
      field.focus();
      field.setSelectionRange(from, to);
      const lines = field.value.split("\n").length;
      field.scrollTop = Math.max(0, (field.scrollHeight / lines) * (line - 1) - field.clientHeight / 3);
    });
  };
  const path = pathOf({ page: "report", project, reportId, isEdited: false });
  const crumbs = [
    { label: project, href: pathOf({ page: "charts", project }) },
    { label: "Reports", href: pathOf({ page: "reports", project }) },
    { label: draft.saved.value.title, href: path },
    { label: "Edit" },
  ];
  return (
    <main class="report-editor" data-shows={shows.value}>
      <PageHeader crumbs={crumbs}>
        <SaveState draft={draft} />
        <span class="actions">
          <button type="button" class="primary" title="Ctrl+S" disabled={draft.isSaving.value || !draft.isUnsaved.value} onClick={() => void save()}>
            Save
          </button>
          <PanelHelp onInsert={insert} />
          <a class="button" href={path}>{draft.isUnsaved.value ? "Leave" : "Read"}</a>
        </span>
      </PageHeader>
      <Problems draft={draft} project={project} onDiscard={() => refresh.call()} />
      <div class="report-tabs" role="group" aria-label="Editor view">
        <button type="button" aria-pressed={shows.value === "text"} onClick={() => (shows.value = "text")}>Write</button>
        <button type="button" aria-pressed={shows.value === "preview"} onClick={() => (shows.value = "preview")}>Preview</button>
      </div>
      <div class="report-sides">
        <div class="report-writing">
          <input
            type="text"
            aria-label="Title of the report"
            placeholder="Title"
            maxLength={TITLE_CHARACTERS_MAX}
            value={draft.title.value}
            onInput={(event) => draft.change({ title: event.currentTarget.value })}
          />
          <textarea
            ref={area}
            class="mono"
            aria-label="Text of the report, in Markdown"
            spellcheck
            value={draft.text.value}
            onInput={(event) => write(event.currentTarget.value)}
          />
        </div>
        <Preview project={project} title={draft.title.value} blocks={preview.data.value?.blocks ?? null} error={preview.error.value} onRetry={() => void preview.load()} onLine={goToLine} />
      </div>
    </main>
  );
}

interface PreviewProps {
  project: string;
  title: string;
  blocks: readonly Block[] | null;
  error: Error | null;
  onRetry(): void;
  onLine(line: number): void;
}

function Preview({ project, title, blocks, error, onRetry, onLine }: PreviewProps) {
  return (
    <section class="report-preview" aria-label="Preview" data-ready={blocks !== null && error === null ? "true" : "false"}>
      {error && <Failure what="The preview is of an earlier text" error={error} onRetry={onRetry} />}
      <h2 class="report-title">{title}</h2>
      {blocks === null && !error && <Skeleton rows={8} />}
      {blocks !== null && <ReportDocument project={project} blocks={blocks} onLine={onLine} />}
    </section>
  );
}

function SaveState({ draft }: { draft: Draft }) {
  const { updated_at } = draft.saved.value;
  return (
    <span class="fact save-state" role="status">
      {draft.isSaving.value ? "Saving…" : draft.failure.value ? "Not saved" : draft.isUnsaved.value ? "Unsaved changes" : <>Saved <Age moment={updated_at} /></>}
    </span>
  );
}

/** Why the text is not saved, and the ways on. */
function Problems({ draft, project, onDiscard }: { draft: Draft; project: string; onDiscard(): void }) {
  const isBusy = useSignal(false);
  const failure = draft.failure.value;
  const restored = draft.restoredAt.value;
  const newest = async (use: (report: Report) => void | Promise<unknown>) => {
    isBusy.value = true;
    try {
      await use(await getReport(draft.saved.peek().id, null));
    } catch (error) {
      say(`The newer version could not be read: ${(error as Error).message}`, "bad");
    }
    isBusy.value = false;
  };
  const discard = () => newest((report) => (draft.discard(report), onDiscard()));
  if (draft.isConflict.value) {
    const path = pathOf({ page: "report", project, reportId: draft.saved.value.id, isEdited: false });
    return (
      <Notice title="Another version was saved in the meantime. Your text below is not saved." kind="bad">
        <p class="actions">
          <a class="button" href={path} target="_blank">Read the newer version</a>
          <button type="button" disabled={isBusy.value} onClick={() => void newest((report) => (draft.rebase(report), draft.save()))}>
            Save my text over it
          </button>
          <button
            type="button"
            disabled={isBusy.value}
            onClick={() => {
              const mine = { title: draft.title.peek(), text: draft.text.peek() };
              void newest((report) => startReport(project, { ...mine, onMade: () => draft.discard(report) }));
            }}
          >
            Save my text as a new report
          </button>
          <button type="button" class="danger" disabled={isBusy.value} onClick={() => void discard()}>Discard my text</button>
        </p>
        <p class="fact">If you save your text over it, the newer version stays in the list of versions.</p>
      </Notice>
    );
  }
  if (failure) return <Failure what="The report is not saved" error={failure} onRetry={() => void draft.save()} />;
  if (restored === null) return null;
  return (
    <Notice title={`Unsaved text of ${formatMoment(restored / 1000)} is shown`}>
      <p class="actions">
        <button type="button" disabled={isBusy.value} onClick={() => void discard()}>Discard it</button>
      </p>
    </Notice>
  );
}
