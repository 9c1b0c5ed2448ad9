/** One table that a run logged: its rows in a window of the list, sorted, filtered and searched. */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { getTable, queryTable, tableDownloadUrl } from "../../api/tables.js";
import type { Cell, ColumnType, MediumCell, TableAddress, TableFacts } from "../../api/tables.js";
import { formatAmount, formatCount } from "../../parts/format.js";
import { Failure, Notice } from "../../parts/Notice.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { TypedInput } from "../../parts/TypedInput.js";
import { VirtualTable } from "../../parts/VirtualTable.js";
import { makeResource } from "../../state/resource.js";
import { cellName, stateText } from "../media/items.js";
import { BoxedPicture } from "../media/Picture.js";
import { ColumnHead } from "./ColumnHead.js";
import "./datatable.css";
import { RowDialog, TextButton, textToOpen } from "./RowDialog.js";
import { makeTableRows } from "./rows.js";
import { cellText, conditionOf, isMedium, sortAfterClick, type TableView } from "./view.js";

/** So many rows are one list: browsers draw nothing higher than some 16 million pixels. */
const LIST_ROWS = 400_000;
const COLUMNS_MAX = 200;
const ROWS_HIGH = 20; // A table of fewer rows is not as high.
const WIDTHS: Readonly<Record<ColumnType, number>> = {
  number: 110, integer: 100, boolean: 80, datetime: 170, text: 200, json: 200, media: 120, mixed: 180,
};

interface DataTableProps extends TableAddress {
  readonly name: string;
  readonly view: TableView;
  onView(view: TableView): void;
  onOpen(medium: MediumCell): void;
}

export function DataTable({ project, runId, digest, name, view, onView, onOpen }: DataTableProps) {
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
      view={view}
      onView={onView}
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
  const asked = JSON.stringify([view.filters, view.search, view.sort]);
  const opened = useSignal<number | null>(null);
  const query = useMemo(() => {
    const filter = Object.entries(view.filters).flatMap(([place, typed]) => {
      const column = facts.columns[Number(place)];
      return column === undefined ? [] : (conditionOf(Number(place), column.type, typed) ?? []);
    });
    const sort = view.sort.filter(({ column }) => column < facts.columns.length);
    return { filter, search: view.search, sort };
  }, [table, asked]);
  const rows = useMemo(
    () => makeTableRows((page, signal) => queryTable(table, { ...query, ...page }, { signal })),
    [table, query],
  );
  useEffect(() => rows.close, [rows]);
  useEffect(() => rows.need(0, 1), [rows]);
  rows.version.value; // Drawn anew with every block.
  const matching = rows.matching.value;
  const error = rows.error.value;
  const from = listStart(view.from, matching);
  const count = Math.min(LIST_ROWS, Math.max(0, (matching ?? 0) - from));
  const hidden = new Set(view.hidden);
  const columns = facts.columns
    .slice(0, COLUMNS_MAX)
    .map((column, place) => ({ column, place }))
    .filter(({ place }) => !hidden.has(place));
  const hiddenCount = facts.columns.filter((_, place) => hidden.has(place)).length;
  const isPlain = view.search === "" && view.sort.length === 0 && Object.keys(view.filters).length === 0;
  const changeRows = (changes: Partial<TableView>) => onView({ ...view, from: 0, ...changes });
  return (
    <section class="datatable" aria-label={`Table ${name}`} style={{ "--rows": Math.min(facts.rows, ROWS_HIGH) }}>
      <div class="datatable-bar">
        <TypedInput
          type="search"
          aria-label={`Search ${name}`}
          placeholder="Search texts"
          value={view.search}
          onTyped={(text) => changeRows({ search: text })}
        />
        <span class="fact" role="status">{countText(matching, facts.rows)}</span>
        {!isPlain && (
          <button type="button" class="small quiet" onClick={() => onView({ ...view, filters: {}, search: "", sort: [], from: 0 })}>
            Reset
          </button>
        )}
        {hiddenCount > 0 && (
          <button type="button" class="small quiet" onClick={() => onView({ ...view, hidden: [] })}>
            {`Show ${formatAmount(hiddenCount, "hidden column")}`}
          </button>
        )}
        <span class="datatable-files">
          <a href={tableDownloadUrl(table, "csv")} download>CSV</a>
          <a href={tableDownloadUrl(table, "parquet")} download>Parquet</a>
        </span>
      </div>
      {facts.columns.length > COLUMNS_MAX && (
        <p class="fact">{`The first ${COLUMNS_MAX} of ${facts.columns.length} columns; the downloads have all`}</p>
      )}
      {error !== null && <Failure what="The rows are not shown" error={error} onRetry={rows.retry} />}
      {matching === 0 && <Notice title={facts.rows === 0 ? "The table has no rows" : "No row matches"} />}
      <VirtualTable
        key={`${asked} ${from}`}
        label={name}
        className="datatable-rows"
        columns={columns.map(({ column, place }) => ({
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
              onSort={(isMore) => changeRows({ sort: sortAfterClick(view.sort, place, isMore) })}
              onFilter={(typed) => changeRows({ filters: withFilter(view.filters, place, typed) })}
              onHide={() => onView({ ...view, hidden: [...view.hidden, place] })}
            />
          ),
        }))}
        count={count}
        onSee={(first, last) => last > first && rows.need(from + first, from + last)}
        renderRow={(index) => {
          const row = rows.at(from + index);
          return (
            <tr key={index} class={row === undefined ? "waiting" : ""} aria-rowindex={index + 2}>
              {columns.map(({ column, place }) => (
                <CellView
                  key={place}
                  cell={row?.cells[place]}
                  type={column.type}
                  onOpen={onOpen}
                  onOpenRow={() => (opened.value = from + index)}
                />
              ))}
            </tr>
          );
        }}
      />
      {matching !== null && matching > LIST_ROWS && (
        <div class="datatable-lists" role="group" aria-label="Part of the rows">
          <button type="button" disabled={from === 0} onClick={() => onView({ ...view, from: from - LIST_ROWS })}>
            Earlier
          </button>
          <span class="fact">
            {`rows ${formatCount(from + 1)} to ${formatCount(from + count)}`}
          </span>
          <button
            type="button"
            disabled={from + LIST_ROWS >= matching}
            onClick={() => onView({ ...view, from: from + LIST_ROWS })}
          >
            Later
          </button>
        </div>
      )}
      {opened.value !== null && (
        <RowDialog
          table={table}
          name={name}
          facts={facts}
          query={query}
          place={opened.value}
          matching={matching ?? 0}
          onClose={() => (opened.value = null)}
        />
      )}
    </section>
  );
}

interface CellProps {
  cell: Cell | undefined;
  type: ColumnType;
  onOpen(medium: MediumCell): void;
  onOpenRow(): void;
}

function CellView({ cell, type, onOpen, onOpenRow }: CellProps) {
  if (cell === undefined) return <td />;
  if (cell === null) return <td class="none" title="no value">–</td>;
  if (isMedium(cell)) return <td class="medium"><Medium cell={cell} onOpen={onOpen} /></td>;
  const long = textToOpen(cell, type);
  if (long !== "") return <td><TextButton text={long} onOpen={onOpenRow} /></td>;
  const text = cellText(cell, type);
  const isNumber = type === "number" || type === "integer";
  return (
    <td class={isNumber ? "number" : ""} title={isNumber ? String(cell) : text}>
      {text}
    </td>
  );
}

function Medium({ cell, onOpen }: { cell: MediumCell; onOpen(medium: MediumCell): void }) {
  const name = cellName(cell);
  if (cell.state !== "ready") return <span title={stateText(cell)}>{stateText(cell)}</span>;
  return (
    <button type="button" class="datatable-medium" aria-label={`Open ${name}`} onClick={() => onOpen(cell)}>
      {cell.media_type.startsWith("image/") ? <BoxedPicture key={cell.url} item={cell} name="" words="none" /> : name}
    </button>
  );
}

/** The start of the part of the list that holds a row; the last part for a row beyond the end. */
function listStart(row: number, matching: number | null): number {
  const last = Math.max(0, (matching ?? Infinity) - 1);
  return Math.floor(Math.min(row, last) / LIST_ROWS) * LIST_ROWS;
}

function countText(matching: number | null, rows: number): string {
  if (matching === null) return "counting";
  return matching === rows ? formatAmount(rows, "row") : `${formatCount(matching)} of ${formatAmount(rows, "row")}`;
}

function ariaSort(view: TableView, place: number): "ascending" | "descending" | undefined {
  const order = view.sort.find(({ column }) => column === place);
  return order && (order.descending ? "descending" : "ascending");
}

function withFilter(filters: TableView["filters"], place: number, typed: string): TableView["filters"] {
  const { [place]: _, ...others } = filters;
  return typed.trim() === "" ? others : { ...others, [place]: typed };
}
