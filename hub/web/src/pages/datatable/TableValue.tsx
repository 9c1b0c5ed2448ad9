/** A table among the media of a run: its chart if it has one, the rows, and a picture of a cell on the whole screen. */
import { useSignal } from "@preact/signals";

import type { MediumCell } from "../../api/tables.js";
import { Dialog } from "../../parts/Dialog.js";
import { formatAmount } from "../../parts/format.js";
import { Figure } from "../media/Figure.js";
import { cellName, itemKind, stateText } from "../media/items.js";
import { BoxedPicture } from "../media/Picture.js";
import type { ValueProps } from "../media/valueProps.js";
import { chartOf } from "./chartSpec.js";
import { DataTable } from "./DataTable.js";
import { TableChart } from "./TableChart.js";
import { TablePreview } from "./TablePreview.js";

interface TableValueProps extends ValueProps {
  /** True in the large view, which no button opens. */
  readonly isLarge?: boolean;
}

export function TableValue({ project, value, isSmall, isLarge = false, tables, onOpen }: TableValueProps) {
  const opened = useSignal<MediumCell | null>(null);
  const item = value.items[0];
  if (item === undefined) return null;
  if (item.state !== "ready") return <p class={`media-state ${item.state}`}>{stateText(item)}</p>;
  const address = { project, runId: value.run_id, digest: item.digest };
  const name = value.metric;
  const spec = chartOf(item.about);
  const chart = spec && <TableChart {...address} spec={spec} name={name} title={item.caption} isSmall={isSmall} />;
  if (isSmall) {
    const size = `${countOf(item.about["nrows"], "row")}, ${countOf(item.about["ncols"], "column")}`;
    const open = () => onOpen(value, 0);
    if (chart === null) return <TablePreview {...address} name={name} size={size} onOpen={open} />;
    return (
      <div class="table-preview">
        {chart}
        <button type="button" class="table-preview-open" aria-label={`Open chart ${name}: ${item.caption || size}`} onClick={open} />
      </div>
    );
  }
  const cell = opened.value;
  const view = tables.viewOf(name, value.label);
  const asTable = spec === null || view.asTable === true;
  const change = (next: boolean) => {
    const { asTable: _, ...rest } = view;
    tables.change(name, value.label, next ? { ...rest, asTable: true } : rest);
  };
  return (
    <>
      {chart !== null && (
        <div class="tablechart-bar" role="group" aria-label={`Show ${name} as`}>
          <button type="button" class="small" aria-pressed={!asTable} onClick={() => change(false)}>Chart</button>
          <button type="button" class="small" aria-pressed={asTable} onClick={() => change(true)}>Table</button>
          {!isLarge && (
            <button type="button" class="small quiet" aria-label={`Enlarge ${name}`} onClick={() => onOpen(value, 0)}>Enlarge</button>
          )}
        </div>
      )}
      {asTable ? (
        <DataTable
          {...address}
          name={name}
          view={view}
          onView={(next) => tables.change(name, value.label, next)}
          onOpen={(medium) => (opened.value = medium)}
        />
      ) : (
        chart
      )}
      {cell !== null && (
        <Dialog title={cell.caption || name} className="lightbox" onClose={() => (opened.value = null)}>
          {cell.media_type.startsWith("image/") ? (
            <div class="datatable-opened">
              <BoxedPicture key={cell.url} item={cell} name={cellName(cell)} words="all" />
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
  const name = cellName(cell);
  const kind = itemKind(cell);
  if (kind === "audio") return <audio controls src={cell.url} aria-label={name} />;
  // Without allow-same-origin its scripts have an origin of their own: no cookie, no hub.
  if (kind === "html") return <iframe class="lightbox-page" sandbox="allow-scripts" src={cell.url} title={name} />;
  if (kind === "figure") return <Figure item={cell} name={name} />;
  if (kind === "video") return <video controls playsInline src={cell.url} aria-label={name} />;
  return <a href={cell.url} download>Download</a>;
}

/** Counts of a table come from what the script logged beside it: they may be missing. */
function countOf(told: unknown, noun: string): string {
  const count = Number(told);
  return Number.isFinite(count) ? formatAmount(count, noun) : `? ${noun}s`;
}
