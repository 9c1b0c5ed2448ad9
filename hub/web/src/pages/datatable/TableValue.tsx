/** A table among the media of a run: the rows, and a picture of a cell on the whole screen. */
import { useSignal } from "@preact/signals";

import type { MediumCell } from "../../api/tables.js";
import { Dialog } from "../../parts/Dialog.js";
import { formatAmount } from "../../parts/format.js";
import { itemKind, stateText } from "../media/items.js";
import { BoxedPicture } from "../media/Picture.js";
import type { ValueProps } from "../media/valueProps.js";
import { DataTable } from "./DataTable.js";
import { TablePreview } from "./TablePreview.js";

export function TableValue({ project, value, isSmall, tables, onOpen }: ValueProps) {
  const opened = useSignal<MediumCell | null>(null);
  const item = value.items[0];
  if (item === undefined) return null;
  if (item.state !== "ready") return <p class={`media-state ${item.state}`}>{stateText(item)}</p>;
  if (isSmall) {
    return (
      <TablePreview
        project={project}
        runId={value.run_id}
        digest={item.digest}
        name={value.metric}
        size={`${countOf(item.about["nrows"], "row")}, ${countOf(item.about["ncols"], "column")}`}
        onOpen={() => onOpen(value, 0)}
      />
    );
  }
  const cell = opened.value;
  return (
    <>
      <DataTable
        project={project}
        runId={value.run_id}
        digest={item.digest}
        name={value.metric}
        view={tables.viewOf(value.metric, value.label)}
        onView={(view) => tables.change(value.metric, value.label, view)}
        onOpen={(medium) => (opened.value = medium)}
      />
      {cell !== null && (
        <Dialog title={cell.caption || value.metric} className="lightbox" onClose={() => (opened.value = null)}>
          {cell.media_type.startsWith("image/") ? (
            <div class="datatable-opened">
              <BoxedPicture key={cell.url} item={cell} name={cell.caption || cell.type} words="all" />
            </div>
          ) : (
            <Opened cell={cell} />
          )}
        </Dialog>
      )}
    </>
  );
}

/** A cell that is no picture. */
function Opened({ cell }: { cell: MediumCell }) {
  const name = cell.caption || cell.type;
  const kind = itemKind(cell);
  if (kind === "audio") return <audio controls src={cell.url} aria-label={name} />;
  if (kind === "video") return <video controls playsInline src={cell.url} aria-label={name} />;
  return <a href={cell.url} download>Download</a>;
}

/** Counts of a table come from what the script logged beside it: they may be missing. */
function countOf(told: unknown, noun: string): string {
  const count = Number(told);
  return Number.isFinite(count) ? formatAmount(count, noun) : `? ${noun}s`;
}
