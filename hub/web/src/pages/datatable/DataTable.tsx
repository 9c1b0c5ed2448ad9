/** One table that a run logged: its rows in a window of the list, sorted, filtered and searched. */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { getTable, queryTable, tableDownloadUrl } from "../../api/tables.js";
import type { Cell, ColumnType, MediumCell, TableAddress, TableFacts } from "../../api/tables.js";
import { formatCount } from "../../parts/format.js";
import { Failure, Notice } from "../../parts/Notice.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { VirtualTable } from "../../parts/VirtualTable.js";
import { makeResource } from "../../state/resource.js";
import { ColumnHead } from "./ColumnHead.js";
import "./datatable.css";
import { makeTableRows } from "./rows.js";
import { cellText, conditionOf, EMPTY_VIEW, isMedium, sortAfterClick, type TableView } from "./view.js";

/** So many rows are one list: browsers draw nothing higher than some 16 million pixels. */
const LIST_ROWS = 400_000;
const COLUMNS_MAX = 200;
const ROWS_HIGH = 20; // A table of fewer rows is not as high.
const WIDTHS: Readonly<Record<ColumnType, number>> = {
  number: 110, integer: 100, boolean: 80, datetime: 170, text: 200, json: 200, media: 120, mixed: 180,
};

interface DataTableProps extends TableAddress {
  readonly name: string;
  /** Without these two the view is the table's own. */
  readonly view?: TableView;
  onView?(view: TableView): void;
  onOpen(medium: MediumCell): void;
}

export function DataTable({ project, runId, digest, name, view: given, onView, onOpen }: DataTableProps) {
  const own = useSignal(EMPTY_VIEW);
  const table = useMemo(() => ({ project, runId, digest }), [project, runId, digest]);
  const facts = useMemo(() => makeResource((signal) => getTable(table, { signal })), [table]);
  useEffect(() => {
    void facts.load();
    return facts.abort;
  }, [facts]);
  const error = facts.error.value;
  if (facts.data.value === null) {
    if (error !== null) return <Failure what="The table is not shown" error={error} onRetry={() => facts.load()} />;
    return <Skeleton rows={4} />;
  }
  return (
    <Rows
      table={table}
      facts={facts.data.value}
      name={name}
      view={given ?? own.value}
      onView={onView ?? ((view) => (own.value = view))}
      onOpen={onOpen}
    />
  );
}

interface RowsProps {
  table: TableAddress;
  facts: TableFacts;
  name: string;
  view: TableView;
  onView(view: TableView): void;
  onOpen(medium: MediumCell): void;
}

function Rows({ table, facts, name, view, onView, onOpen }: RowsProps) {
  const from = useSignal(0);
  const asked = JSON.stringify(view);
  const rows = useMemo(() => {
    from.value = 0;
    const filter = Object.entries(view.filters).flatMap(([place, typed]) => {
      const column = facts.columns[Number(place)];
      return column === undefined ? [] : (conditionOf(Number(place), column.type, typed) ?? []);
    });
    const query = { filter, search: view.search, sort: view.sort };
    return makeTableRows((page, signal) => queryTable(table, { ...query, ...page }, { signal }));
  }, [table, asked]);
  useEffect(() => rows.close, [rows]);
  useEffect(() => rows.need(0, 1), [rows]);
  rows.version.value; // Drawn anew with every block.
  const matching = rows.matching.value;
  const error = rows.error.value;
  const count = Math.min(LIST_ROWS, Math.max(0, (matching ?? 0) - from.value));
  const columns = facts.columns.slice(0, COLUMNS_MAX);
  const isPlain = view.search === "" && view.sort.length === 0 && Object.keys(view.filters).length === 0;
  return (
    <section class="datatable" aria-label={`Table ${name}`} style={{ "--rows": Math.min(facts.rows, ROWS_HIGH) }}>
      <div class="datatable-bar">
        <input
          type="search"
          aria-label={`Search ${name}`}
          placeholder="Search texts"
          value={view.search}
          onChange={(event) => onView({ ...view, search: event.currentTarget.value.trim() })}
        />
        <span class="fact" role="status">{countText(matching, facts.rows)}</span>
        {!isPlain && (
          <button type="button" class="small quiet" onClick={() => onView(EMPTY_VIEW)}>
            Reset
          </button>
        )}
        <span class="datatable-files">
          <a href={tableDownloadUrl(table, "csv")} download>CSV</a>
          <a href={tableDownloadUrl(table, "parquet")} download>Parquet</a>
        </span>
      </div>
      {facts.columns.length > COLUMNS_MAX && (
        <p class="fact">{`The first ${COLUMNS_MAX} of ${facts.columns.length} columns; files have all`}</p>
      )}
      {error !== null && <Failure what="The rows are not shown" error={error} onRetry={rows.retry} />}
      {matching === 0 && <Notice title={facts.rows === 0 ? "The table has no rows" : "No row fits"} />}
      <VirtualTable
        key={`${asked} ${from.value}`}
        label={name}
        className="datatable-rows"
        columns={columns.map((column, place) => ({
          key: String(place),
          width: WIDTHS[column.type],
          sort: ariaSort(view, place),
          header: (
            <ColumnHead
              table={table}
              place={place}
              column={column}
              rows={facts.rows}
              view={view}
              onSort={(isMore) => onView({ ...view, sort: sortAfterClick(view.sort, place, isMore) })}
              onFilter={(typed) => onView({ ...view, filters: withFilter(view.filters, place, typed) })}
            />
          ),
        }))}
        count={count}
        onSee={(first, last) => last > first && rows.need(from.value + first, from.value + last)}
        renderRow={(index) => {
          const row = rows.at(from.value + index);
          return (
            <tr key={index} class={row === undefined ? "waiting" : ""} aria-rowindex={index + 2}>
              {columns.map(({ type }, place) => (
                <CellView key={place} cell={row?.cells[place]} type={type} onOpen={onOpen} />
              ))}
            </tr>
          );
        }}
      />
      {matching !== null && matching > LIST_ROWS && (
        <div class="datatable-lists" role="group" aria-label="Part of the rows">
          <button type="button" disabled={from.value === 0} onClick={() => (from.value -= LIST_ROWS)}>
            Earlier
          </button>
          <span class="fact">
            {`rows ${formatCount(from.value + 1)} to ${formatCount(from.value + count)}`}
          </span>
          <button
            type="button"
            disabled={from.value + LIST_ROWS >= matching}
            onClick={() => (from.value += LIST_ROWS)}
          >
            Later
          </button>
        </div>
      )}
    </section>
  );
}

interface CellProps {
  cell: Cell | undefined;
  type: ColumnType;
  onOpen(medium: MediumCell): void;
}

function CellView({ cell, type, onOpen }: CellProps) {
  if (cell === undefined) return <td />;
  if (cell === null) return <td class="none" title="no value">–</td>;
  if (isMedium(cell)) return <td class="medium"><Medium cell={cell} onOpen={onOpen} /></td>;
  const isNumber = type === "number" || type === "integer";
  return (
    <td class={isNumber ? "number" : ""} title={isNumber ? String(cell) : cellText(cell, type)}>
      {cellText(cell, type)}
    </td>
  );
}

function Medium({ cell, onOpen }: { cell: MediumCell; onOpen(medium: MediumCell): void }) {
  const name = cell.caption || cell.type;
  if (cell.state !== "ready") return <span title={cell.reason}>{cell.state}</span>;
  return (
    <button type="button" class="datatable-medium" aria-label={`Open ${name}`} onClick={() => onOpen(cell)}>
      {cell.media_type.startsWith("image/") ? <img src={cell.url} alt="" loading="lazy" decoding="async" /> : name}
    </button>
  );
}

function countText(matching: number | null, rows: number): string {
  if (matching === null) return "counting";
  return matching === rows ? `${formatCount(rows)} rows` : `${formatCount(matching)} of ${formatCount(rows)} rows`;
}

function ariaSort(view: TableView, place: number): "ascending" | "descending" | undefined {
  const order = view.sort.find(({ column }) => column === place);
  return order && (order.descending ? "descending" : "ascending");
}

function withFilter(filters: TableView["filters"], place: number, typed: string): TableView["filters"] {
  const { [place]: _, ...others } = filters;
  return typed.trim() === "" ? others : { ...others, [place]: typed };
}
