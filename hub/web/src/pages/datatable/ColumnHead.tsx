/** The head of a column: a click sorts, Shift adds to the sort; a panel filters and shows facts. */
import { useEffect, useMemo } from "preact/hooks";

import { getColumnStatistics } from "../../api/tables.js";
import type { ColumnStatistics, TableAddress, TableColumn } from "../../api/tables.js";
import { formatUtc } from "../../engine/format.js";
import { formatCount, formatNumber } from "../../parts/format.js";
import { Failure } from "../../parts/Notice.js";
import { Popover } from "../../parts/Popover.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { TypedInput } from "../../parts/TypedInput.js";
import { makeResource } from "../../state/resource.js";
import type { TableView } from "./view.js";

interface ColumnHeadProps {
  table: TableAddress;
  place: number;
  column: TableColumn;
  /** Of the whole table. */
  rows: number;
  view: TableView;
  onSort(isMore: boolean): void;
  onFilter(typed: string): void;
  onHide(): void;
}

export function ColumnHead({ table, place, column, rows, view, onSort, onFilter, onHide }: ColumnHeadProps) {
  const at = view.sort.findIndex((order) => order.column === place);
  const arrow = at < 0 ? "" : view.sort[at]!.descending ? "↓" : "↑";
  const name = column.name || `column ${place + 1}`;
  const typed = view.filters[place] ?? "";
  return (
    <span class="datatable-head">
      <button
        type="button"
        class="sort"
        title={`${name}, ${column.type}: click to sort, Shift adds to the sort`}
        onClick={(event) => onSort(event.shiftKey)}
      >
        <span class="sort-title">{name}</span>
        {arrow && <span aria-hidden="true">{`${arrow}${view.sort.length > 1 ? at + 1 : ""}`}</span>}
      </button>
      <Popover
        label={typed === "" ? "⋯" : "●"}
        name={`${typed === "" ? "Filter" : "Filtered"}: ${name}`}
        title={name}
        buttonClass="small quiet"
      >
        {() => (
          <div class="datatable-panel">
            <label>
              <span class="fact">Filter</span>
              <TypedInput
                type="text"
                class="mono"
                value={typed}
                placeholder="cat, >= 0.5, != x, ~ ^c, null"
                onTyped={onFilter}
              />
            </label>
            <button type="button" class="small" onClick={onHide}>
              Hide the column
            </button>
            <Facts table={table} place={place} column={column} rows={rows} />
          </div>
        )}
      </Popover>
    </span>
  );
}

function Facts({ table, place, column, rows }: Pick<ColumnHeadProps, "table" | "place" | "column" | "rows">) {
  const facts = useMemo(
    () => makeResource((signal) => getColumnStatistics(table, place, { signal })),
    [table, place],
  );
  useEffect(() => {
    void facts.load();
    return facts.abort;
  }, [facts]);
  const [found, error] = [facts.data.value, facts.error.value];
  if (found === null) {
    return error ? <Failure what="No facts" error={error} onRetry={() => facts.load()} /> : <Skeleton rows={4} />;
  }
  const isMoment = column.type === "datetime";
  const text = (value: number) => (isMoment ? formatUtc(value * 1e6) : formatNumber(value));
  return (
    <>
      <p class="fact">
        {`${column.type}, ${formatCount(found.distinct)} different, ${formatCount(found.nulls)} of ${formatCount(rows)} without a value`}
      </p>
      {found.minimum !== null && found.maximum !== null && (
        <>
          <Bars bins={found.bins} />
          <p class="fact">{`${text(found.minimum)} to ${text(found.maximum)}, mean ${text(found.mean ?? NaN)}`}</p>
        </>
      )}
      {found.common.length > 0 && column.type !== "media" && (
        <ul class="datatable-common">
          {found.common.map((each) => (
            <li key={each.text} title={each.text}>
              <span>{each.text}</span>
              <span class="fact">{formatCount(each.count)}</span>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

/** A bar for each bin; all bins have one width. */
function Bars({ bins }: { bins: ColumnStatistics["bins"] }) {
  if (bins.length === 0) return null;
  const most = Math.max(...bins.map(({ count }) => count));
  const width = 100 / bins.length;
  return (
    <svg class="datatable-bars" viewBox="0 0 100 30" preserveAspectRatio="none" role="img" aria-label="Distribution">
      {bins.map(({ count }, at) => (
        <rect key={at} x={at * width} width={width} y={30 - (count / most) * 30} height={(count / most) * 30} />
      ))}
    </svg>
  );
}
