/** The head of a column of runs: a click sorts, Shift adds to the sort. */
import { columnTitle, sortAfterClick, sortOf, sortPlace } from "../state/columns.js";

interface SortHeaderProps {
  column: string;
  title?: string;
  sort: readonly string[];
  onSort(sort: readonly string[]): void;
}

export function SortHeader({ column, title = columnTitle(column), sort, onSort }: SortHeaderProps) {
  const direction = sortOf(sort, column);
  const place = sortPlace(sort, column);
  const order = place === null ? "" : `, sorts as number ${place}`;
  const arrow = direction === "ascending" ? "↑" : direction === "descending" ? "↓" : "";
  return (
    <button
      type="button"
      class="sort"
      title={`${column}${order}: click to sort, Shift adds to the sort`}
      onClick={(event) => onSort(sortAfterClick(sort, column, { isMore: event.shiftKey }))}
    >
      <span class="sort-title">{title}</span>
      {arrow && <span aria-hidden="true">{`${arrow}${place ?? ""}`}</span>}
    </button>
  );
}
