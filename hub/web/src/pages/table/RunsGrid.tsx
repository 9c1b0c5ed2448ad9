/** The grid of the runs table. */
import type { Signal } from "@preact/signals";
import { useMemo } from "preact/hooks";

import type { RunOverview } from "../../api/types.js";
import { columnHint, columnText, isNumberColumn } from "../../parts/columnValues.js";
import { Editable } from "../../parts/Editable.js";
import { SortHeader } from "../../parts/SortHeader.js";
import { StateBadge } from "../../parts/StateBadge.js";
import { VirtualTable, type TableColumn } from "../../parts/VirtualTable.js";
import { now } from "../../state/clock.js";
import { columnTitles, sortOf } from "../../state/columns.js";
import { columnWidths, setColumnWidth } from "../../state/columnWidths.js";
import { changeRun, formatTags, parseTags } from "../../state/edits.js";
import { runColor } from "../../state/palette.js";
import { pathOf } from "../../state/routes.js";
import type { RunsState } from "../../state/runs.js";
import { theme } from "../../state/theme.js";

const WIDTHS: Readonly<Record<string, number>> = {
  state: 84, started: 96, seen: 96, duration: 104, tags: 180, notes: 240, host: 140, id: 120, group: 120, job_type: 100, sweep: 96,
};
const OTHER_WIDTH = 120;
const NAME_WIDTH = 260;
const NARROW_NAME_WIDTH = 170;

type Chosen = Signal<ReadonlyMap<string, RunOverview>>;

export function RunsGrid({ runs, chosen }: { runs: RunsState; chosen: Chosen }) {
  const { list } = runs;
  const rows = list.rows.value;
  const sort = runs.sort.value;
  const widths = columnWidths.value;
  const shown = runs.columns.value;
  const numeric = useMemo(
    () => new Set(shown.filter((column) => rows.some((run) => isNumberColumn(run, column)))),
    [rows, shown],
  );
  const titles = columnTitles(shown);
  const header = (column: string, title?: string) => ({
    header: <SortHeader column={column} {...(title ? { title } : {})} sort={sort} onSort={runs.setSort} />,
    sort: sortOf(sort, column),
  });
  const columns: TableColumn[] = [
    { key: " chosen", width: 32, className: "pinned first", header: <ChooseLoaded rows={rows} chosen={chosen} /> },
    {
      key: " name",
      width: innerWidth < 640 ? NARROW_NAME_WIDTH : (widths.get("name") ?? NAME_WIDTH),
      onWidth: (pixels) => setColumnWidth("name", pixels),
      className: "pinned second",
      ...header("name", "Run"),
    },
    ...runs.columns.value.map((column) => ({
      key: column,
      width: widths.get(column) ?? WIDTHS[column] ?? OTHER_WIDTH,
      onWidth: (pixels: number) => setColumnWidth(column, pixels),
      className: numeric.has(column) ? "number" : "",
      ...header(column, titles.get(column)),
    })),
    // The rest of the width, so that the chosen columns keep theirs.
    { key: " rest", header: <span class="off-screen">End of the row</span>, className: "rest" },
  ];
  return (
    <VirtualTable
      label="Runs"
      className="grid"
      columns={columns}
      count={Math.max(rows.length, list.total.value ?? 0)}
      onNeed={list.need}
      renderRow={(at) => {
        const run = rows[at];
        if (run === undefined) return <WaitingRow key={at} at={at} columns={columns.length} />;
        return <GridRow key={run.run_id} at={at} run={run} runs={runs} chosen={chosen} numeric={numeric} />;
      }}
    />
  );
}

function ChooseLoaded({ rows, chosen }: { rows: readonly RunOverview[]; chosen: Chosen }) {
  const all = rows.length > 0 && rows.every((run) => chosen.value.has(run.run_id));
  const some = !all && chosen.value.size > 0;
  return (
    <input
      type="checkbox"
      aria-label="Select all runs that are loaded"
      checked={all}
      indeterminate={some}
      onChange={() => (chosen.value = all ? new Map() : new Map(rows.map((run) => [run.run_id, run])))}
    />
  );
}

function WaitingRow({ at, columns }: { at: number; columns: number }) {
  return (
    <tr class="waiting" aria-rowindex={at + 2}>
      <td colSpan={columns} />
    </tr>
  );
}

interface GridRowProps {
  at: number;
  run: RunOverview;
  runs: RunsState;
  chosen: Chosen;
  numeric: ReadonlySet<string>;
}

function GridRow({ at, run, runs, chosen, numeric }: GridRowProps) {
  const name = run.name || run.run_id;
  const isChosen = chosen.value.has(run.run_id);
  const toggle = () => {
    const next = new Map(chosen.value);
    if (!next.delete(run.run_id)) next.set(run.run_id, run);
    chosen.value = next;
  };
  return (
    <tr aria-rowindex={at + 2} data-run={run.run_id} class={`${isChosen ? "chosen" : ""} ${run.archived ? "archived" : ""}`}>
      <td class="pinned first">
        <input type="checkbox" aria-label={`Select ${name}`} checked={isChosen} onChange={toggle} />
      </td>
      <th scope="row" class="pinned second">
        <Editable what={`the name of ${name}`} value={run.name} onSave={(text) => void changeRun(runs.list, run, { name: text })}>
          <span class="swatch" style={{ background: runColor(run, theme.value) }} />
          <a href={pathOf({ page: "run", project: run.project, runId: run.run_id, tab: "charts" })} title={`${name}\n${run.run_id}`}>
            {name}
          </a>
        </Editable>
      </th>
      {runs.columns.value.map((column) => (
        <td key={column} class={numeric.has(column) ? "number" : ""} title={columnHint(run, column, now.value)}>
          <Cell run={run} runs={runs} column={column} />
        </td>
      ))}
      <td class="rest" />
    </tr>
  );
}

function Cell({ run, runs, column }: { run: RunOverview; runs: RunsState; column: string }) {
  const name = run.name || run.run_id;
  switch (column) {
    case "state":
      return <StateBadge state={run.state} lastSeen={run.last_seen} exitCode={run.exit_code} always />;
    case "tags":
      return (
        <Editable
          what={`the tags of ${name}`}
          value={formatTags(run.tags)}
          onSave={(text, before) => void changeRun(runs.list, run, { tags: parseTags(text) }, { tags: parseTags(before) })}
        >
          {run.tags.map((tag) => (
            <span key={tag} class="tag">{tag}</span>
          ))}
        </Editable>
      );
    case "notes":
      return (
        <Editable
          what={`the notes of ${name}`}
          value={run.notes}
          onSave={(notes, before) => changeRun(runs.list, run, { notes }, { notes: before })}
        >
          {run.notes}
        </Editable>
      );
    case "sweep":
      if (run.sweep === "") return null;
      return <a href={pathOf({ page: "sweep", project: run.project, sweepId: run.sweep })}>{run.sweep}</a>;
    default:
      return <>{columnText(run, column, now.value)}</>;
  }
}
