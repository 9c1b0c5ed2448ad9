/** Columns of runs: their titles and how a click on a header sorts. Pure. */

/** Columns that every run has; others are config.PATH, summary.PATH and metric.NAME:STAT. */
export const OWN_COLUMNS = [
  "state", "started", "duration", "seen", "tags", "group", "job_type", "sweep", "notes", "host", "id",
] as const;
export type OwnColumn = (typeof OWN_COLUMNS)[number];

export function isOwnColumn(column: string): column is OwnColumn {
  return (OWN_COLUMNS as readonly string[]).includes(column);
}

/** The columns that the hub has to send beside a run's own facts. */
export function columnsToAsk(columns: readonly string[]): string[] {
  return columns.filter((column) => !isOwnColumn(column));
}

export function columnTitle(column: string): string {
  if (column === "job_type") return "job type";
  // A metric and a key may have the empty name.
  return column.replace(/^(config|summary|metric)\./, "").replace(/^(?=$|:)/, "(no name)");
}

/** The part of a column's name that says where its values come from, or "". */
export function columnKind(column: string): string {
  return /^(config|summary|metric)\./.exec(column)?.[1] ?? "";
}

/** Titles by column; where two would be the same, with where their values come from. */
export function columnTitles(columns: readonly string[]): ReadonlyMap<string, string> {
  const titles = columns.map(columnTitle);
  return new Map(
    columns.map((column, at) => {
      const title = titles[at]!;
      const isAlone = titles.indexOf(title) === titles.lastIndexOf(title);
      return [column, isAlone || columnKind(column) === "" ? title : `${title} (${columnKind(column)})`];
    }),
  );
}

export type SortDirection = "ascending" | "descending";

/** How `column` takes part in the sort, or undefined. A leading "-" means descending. */
export function sortOf(sort: readonly string[], column: string): SortDirection | undefined {
  if (sort.includes(column)) return "ascending";
  return sort.includes(`-${column}`) ? "descending" : undefined;
}

/** The column's place in a sort by several, from 1; null where it sorts alone or not. */
export function sortPlace(sort: readonly string[], column: string): number | null {
  const at = sort.findIndex((key) => key.replace(/^-/, "") === column);
  return at < 0 || sort.length < 2 ? null : at + 1;
}

/**
 * The sort after a click on a header: descending, ascending, then the default again. With `isMore`
 * (Shift) the column joins those that sort already.
 */
export function sortAfterClick(sort: readonly string[], column: string, { isMore = false } = {}): string[] {
  const direction = sortOf(sort, column);
  const others = isMore ? sort.filter((key) => key.replace(/^-/, "") !== column) : [];
  if (direction === undefined) return [...others, `-${column}`];
  if (direction === "descending") return [...others, column];
  return others.length > 0 ? others : ["-started"];
}
