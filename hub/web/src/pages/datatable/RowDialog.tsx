/** One row of a logged table with its whole texts, which its cells cut. */
import { useSignal } from "@preact/signals";

import { queryTable } from "../../api/tables.js";
import type { Cell, ColumnType, TableAddress, TableFacts, TableQuery } from "../../api/tables.js";
import { Dialog } from "../../parts/Dialog.js";
import { formatCount } from "../../parts/format.js";
import { Failure } from "../../parts/Notice.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { useResource } from "../../state/resource.js";
import { cellName } from "../media/items.js";
import { BoxedPicture } from "../media/Picture.js";
import { cellText, isMedium } from "./view.js";

/** The most that the hub answers of one text. */
const CHARACTERS_MAX = 1_000_000;

interface RowDialogProps {
  readonly table: TableAddress;
  readonly name: string;
  readonly facts: TableFacts;
  readonly query: Pick<TableQuery, "filter" | "search" | "sort">;
  /** The place of the row among those that match. */
  readonly place: number;
  readonly matching: number;
  onClose(): void;
}

export function RowDialog({ table, name, facts, query, place, matching, onClose }: RowDialogProps) {
  const shown = useSignal(place);
  const asked = { ...query, offset: shown.value, limit: 1, characters: CHARACTERS_MAX };
  const found = useResource(JSON.stringify([table, asked]), (signal) => queryTable(table, asked, { signal }));
  const page = found.data.value;
  const row = page?.rows[0];
  const go = (by: number) => (shown.value = Math.min(matching - 1, Math.max(0, shown.value + by)));
  return (
    <Dialog title={row === undefined ? name : `${name}, row ${formatCount(row.row + 1)}`} className="datatable-row" onClose={onClose}>
      <div class="datatable-bar">
        <button type="button" class="small" disabled={shown.value === 0} onClick={() => go(-1)}>Previous row</button>
        <button type="button" class="small" disabled={shown.value >= matching - 1} onClick={() => go(1)}>Next row</button>
      </div>
      {found.error.value !== null && <Failure what="The row is not shown" error={found.error.value} onRetry={() => found.load()} />}
      {row === undefined && found.error.value === null && <Skeleton rows={3} />}
      {row !== undefined && (
        <dl>
          {page!.columns.map((column, at) => (
            <div key={column}>
              <dt>{facts.columns[column]?.name || `column ${column + 1}`}</dt>
              <dd><WholeCell cell={row.cells[at]} type={facts.columns[column]?.type ?? "text"} /></dd>
            </div>
          ))}
        </dl>
      )}
    </Dialog>
  );
}

function WholeCell({ cell, type }: { cell: Cell | undefined; type: ColumnType }) {
  if (cell === undefined || cell === null) return <>–</>;
  if (!isMedium(cell)) return <span class="datatable-whole">{typeof cell === "number" && type !== "datetime" ? String(cell) : cellText(cell, type)}</span>;
  if (cell.state === "ready" && cell.media_type.startsWith("image/")) {
    return <BoxedPicture key={cell.url} item={cell} name={cellName(cell)} words="all" />;
  }
  return <>{cellName(cell)}</>;
}

/** A cell of text, cut where it is shown, which opens its row. */
export function TextButton({ text, title = text, onOpen }: { text: string; title?: string; onOpen(): void }) {
  return (
    <button type="button" class="datatable-text" title={title} onClick={onOpen}>
      {text}
    </button>
  );
}

/** The text of a cell that may have more to read than one line of it; "" of other cells. */
export function textToOpen(cell: Cell | undefined, type: ColumnType): string {
  if (cell === undefined || cell === null || isMedium(cell)) return "";
  return type === "text" || type === "json" || type === "mixed" ? cellText(cell, type) : "";
}
