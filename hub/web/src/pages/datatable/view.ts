/** The view of a table: sort, conditions as they are typed, and cells as text. Pure. */
import type { Cell, ColumnType, Condition, CutText, MediumCell, Op, Order } from "../../api/tables.js";
import { formatUtc } from "../../engine/format.js";
import { formatNumber } from "../../parts/format.js";

export interface TableView {
  /** What is typed for each column, by its place. */
  readonly filters: Readonly<Record<number, string>>;
  readonly search: string;
  readonly sort: readonly Order[];
  /** Places of columns that are not shown. */
  readonly hidden: readonly number[];
  /** The first row of the part of a long list that is shown. */
  readonly from: number;
  /** True: the rows of a table that has a chart. */
  readonly asTable?: boolean;
}

export const EMPTY_VIEW: TableView = { filters: {}, search: "", sort: [], hidden: [], from: 0 };

const OPS: readonly [string, Op][] = [
  [">=", "ge"], ["<=", "le"], ["!=", "ne"], ["!~", "not_contains"], ["~", "matches"], [">", "gt"], ["<", "lt"], ["=", "eq"],
];
const WORDS: ReadonlyMap<string, Op> = new Map([["null", "is_null"], ["not null", "not_null"]]);

/**
 * The condition that is typed for a column: ">= 0.5", "= cat", "!= cat", "~ ^c" or "/^c/", "!~ cat", "null", "not null".
 * Anything else: equal to that in columns of numbers, moments and yes or no, containing it in others.
 *
 * Null where nothing is typed. A value of the wrong kind is sent as it is: the hub says what is wrong.
 */
export function conditionOf(column: number, type: ColumnType, typed: string): Condition | null {
  const text = typed.trim();
  if (text === "") return null;
  const word = WORDS.get(text.toLowerCase());
  if (word !== undefined) return { column, op: word };
  if (text.length > 2 && text.startsWith("/") && text.endsWith("/")) {
    return { column, op: "matches", value: text.slice(1, -1) };
  }
  const found = OPS.find(([sign]) => text.startsWith(sign));
  const rest = found === undefined ? text : text.slice(found[0].length).trim();
  const isOfTexts = type === "text" || type === "json" || type === "mixed" || type === "media";
  const op = found?.[1] ?? (isOfTexts ? "contains" : "eq");
  return { column, op, value: op === "not_contains" || op === "matches" ? rest : valueOf(type, rest) };
}

function valueOf(type: ColumnType, text: string): string | number | boolean {
  if (type === "boolean" && /^(true|false)$/i.test(text)) return text.toLowerCase() === "true";
  const isNumber = (type === "number" || type === "integer") && text !== "" && Number.isFinite(Number(text));
  return isNumber && Math.abs(Number(text)) <= Number.MAX_SAFE_INTEGER ? Number(text) : text;
}

/** A click sorts up, then down, then not; with `isMore` beside what sorts already. */
export function sortAfterClick(sort: readonly Order[], column: number, isMore: boolean): Order[] {
  const before = sort.find((order) => order.column === column);
  const next = before === undefined ? { column, descending: false } : { column, descending: true };
  if (!isMore) return before?.descending ? [] : [next];
  if (before === undefined) return [...sort, next];
  return sort.flatMap((order) => (order.column !== column ? [order] : before.descending ? [] : [next]));
}

export function isMedium(cell: Cell): cell is MediumCell {
  return typeof cell === "object" && cell !== null && "state" in cell;
}

export function isCut(cell: Cell): cell is CutText {
  return typeof cell === "object" && cell !== null && "characters" in cell;
}

/** The text of a cell that is no medium. A moment is as it was logged, in UTC, which filters take, too. */
export function cellText(cell: Exclude<Cell, MediumCell>, type: ColumnType): string {
  if (cell === null) return "";
  if (type === "datetime" && (typeof cell === "number" || typeof cell === "bigint")) return formatUtc(cell);
  if (typeof cell === "number") return formatNumber(cell);
  if (isCut(cell)) return cell.text.length < cell.characters ? `${cell.text}…` : cell.text;
  return String(cell);
}
