/** All runs of a project with the columns that the viewer chose. */
import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";

import type { RunOverview } from "../../api/types.js";
import { ColumnChooser } from "../../parts/ColumnChooser.js";
import { columnValue } from "../../parts/columnValues.js";
import { FilterBox } from "../../parts/FilterBox.js";
import { formatCount } from "../../parts/format.js";
import { NoRuns } from "../../parts/NoRuns.js";
import { Failure } from "../../parts/Notice.js";
import { PageHeader } from "../../parts/PageHeader.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { copyText } from "../../state/clipboard.js";
import { runsCsv } from "../../state/csv.js";
import { tableColumns } from "../../state/defaultColumns.js";
import { useLiveRows } from "../../state/liveRows.js";
import { viewState } from "../../state/navigation.js";
import { pathOf } from "../../state/routes.js";
import { RUNS_FIELDS, useRuns, type RunsState } from "../../state/runs.js";
import { say } from "../../state/toasts.js";
import { RunsGrid } from "./RunsGrid.js";
import { SelectedRuns } from "./SelectedRuns.js";

export function Table({ project }: { project: string }) {
  const view = useMemo(() => viewState(RUNS_FIELDS), []);
  const runs = useRuns(project, view, tableColumns);
  const chosen = useSignal<ReadonlyMap<string, RunOverview>>(new Map());
  const { list } = runs;
  useLiveRows(runs);
  return (
    <main class="table-page" aria-busy={list.isLoading.value}>
      <PageHeader crumbs={[{ label: project, href: pathOf({ page: "charts", project }) }, { label: "Table" }]}>
        <FilterBox value={runs.filter.value} error={list.filterError.value} onChange={runs.setFilter} />
        <ColumnChooser project={project} columns={runs.columns.value} onChange={runs.setColumns} />
        <button
          type="button"
          aria-pressed={runs.archived.value}
          onClick={() => runs.setArchived(!runs.archived.value)}
        >
          Archived
        </button>
        <CopyCsv runs={runs} />
      </PageHeader>
      {list.error.value && (
        <Failure what="The runs could not be read" error={list.error.value} onRetry={list.refresh} />
      )}
      {!list.isReady.value && !list.error.value && !list.filterError.value && <Skeleton rows={16} />}
      {list.isReady.value && !list.filterError.value && list.rows.value.length === 0 && <NoRuns runs={runs} />}
      {list.rows.value.length > 0 && <RunsGrid runs={runs} chosen={chosen} />}
      {list.isReady.value && (
        <footer class="table-footer">
          <p aria-live="polite">{list.total.value === 1 ? "1 run" : `${formatCount(list.total.value ?? 0)} runs`}</p>
          {list.isLoading.value && <span class="reading">reading</span>}
          {chosen.value.size > 0 && <SelectedRuns runs={runs} chosen={chosen} />}
        </footer>
      )}
    </main>
  );
}

/** Copies every run that the filter leaves, loaded or not. */
function CopyCsv({ runs }: { runs: RunsState }) {
  const { list } = runs;
  const copy = async () => {
    await list.needAll();
    const rows = list.rows.peek();
    const copiedAt = Date.now() / 1000;
    const text = runsCsv(rows, runs.columns.peek(), (run, column) => columnValue(run, column, copiedAt));
    const isCopied = await copyText(text);
    const what = rows.length === 1 ? "1 run is" : `${formatCount(rows.length)} runs are`;
    if (isCopied) say(`${what} copied as CSV`);
    else say("The browser refused to copy", "bad");
  };
  return (
    <button type="button" class="wide" disabled={!list.rows.value.length} onClick={copy}>
      Copy CSV
    </button>
  );
}
