/** The first rows and columns of a table, where there is room for little; a click opens all of it. */
import { getTable, queryTable } from "../../api/tables.js";
import type { Cell, ColumnType, TableAddress } from "../../api/tables.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { useResource } from "../../state/resource.js";
import { cellName } from "../media/items.js";
import { BoxedPicture } from "../media/Picture.js";
import { cellText, isMedium } from "./view.js";

const ROWS = 5;
const COLUMNS = 3;
const FIRST = { filter: [], search: "", sort: [], offset: 0, limit: ROWS };

interface TablePreviewProps extends TableAddress {
  readonly name: string;
  /** "60 rows, 5 columns". */
  readonly size: string;
  onOpen(): void;
}

export function TablePreview({ project, runId, digest, name, size, onOpen }: TablePreviewProps) {
  const table = { project, runId, digest };
  const found = useResource(JSON.stringify(table), async (signal) => {
    const [facts, page] = await Promise.all([getTable(table, { signal }), queryTable(table, FIRST, { signal })]);
    return { columns: facts.columns.slice(0, COLUMNS), rows: page.rows };
  });
  const error = found.error.value;
  const shown = found.data.value;
  return (
    <div class="table-preview">
      {shown !== null && (
        <table aria-label={`First rows of ${name}`}>
          <thead>
            <tr>{shown.columns.map(({ name: title }, at) => <th key={at} scope="col">{title || `column ${at + 1}`}</th>)}</tr>
          </thead>
          <tbody>
            {shown.rows.map(({ row, cells }) => (
              <tr key={row}>
                {shown.columns.map(({ type }, at) => <td key={at}><SmallCell cell={cells[at]} type={type} /></td>)}
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {error === null && shown === null && <Skeleton rows={3} />}
      {error !== null && shown === null && <p class="media-state failed" title={error.message}>No preview</p>}
      <button type="button" class="table-preview-open" aria-label={`Open table ${name}: ${size}`} onClick={onOpen}>
        {size}
      </button>
    </div>
  );
}

/** A cell on one line; a picture small. */
export function SmallCell({ cell, type }: { cell: Cell | undefined; type: ColumnType }) {
  if (cell === undefined || cell === null) return <>–</>;
  if (!isMedium(cell)) return <>{cellText(cell, type)}</>;
  const isPicture = cell.state === "ready" && cell.media_type.startsWith("image/");
  if (!isPicture) return <>{cellName(cell)}</>;
  return <BoxedPicture key={cell.url} item={cell} name={cellName(cell)} words="none" />;
}
