/** Tables that runs logged: questions to the hub, see docs/formats/hub-api.md. */
import { API, pathFrom, request } from "./client.js";
import type { MediaMask } from "./types.js";
import type { ValueMap } from "./values.js";

export type ColumnType =
  | "number" | "integer" | "boolean" | "datetime" | "text" | "json" | "media" | "mixed";

export interface TableColumn {
  readonly name: string;
  readonly type: ColumnType;
}

export interface TableFacts {
  readonly columns: readonly TableColumn[];
  readonly rows: number;
}

export interface CutText {
  readonly text: string;
  readonly characters: number;
  readonly kind?: string;
}

/** What a cell says of a medium. */
export interface MediumCell {
  readonly type: string;
  readonly id: string | null;
  readonly state: "uploading" | "ready" | "failed" | "none";
  readonly media_type: string;
  readonly width: number;
  readonly height: number;
  readonly caption: string;
  readonly reason: string;
  readonly about: ValueMap;
  readonly masks: readonly MediaMask[];
  readonly library_url: string;
  readonly url: string;
}

export type Cell = null | number | bigint | boolean | string | CutText | MediumCell;

export interface TableRow {
  readonly row: number;
  readonly cells: readonly Cell[];
}

export type Op =
  | "eq" | "ne" | "lt" | "le" | "gt" | "ge" | "in" | "contains" | "not_contains" | "matches" | "is_null" | "not_null";

export interface Condition {
  readonly column: number;
  readonly op: Op;
  readonly value?: string | number | boolean;
  /** For `in`. */
  readonly values?: readonly (string | number)[];
}

export interface Order {
  readonly column: number;
  readonly descending: boolean;
}

export interface TableQuery {
  readonly filter: readonly Condition[];
  readonly search: string;
  readonly sort: readonly Order[];
  /** Numbers of the columns to answer; without it the first 200. */
  readonly columns?: readonly number[];
  readonly offset: number;
  readonly limit: number;
  /** Only so many rows of the table, evenly spread over it. */
  readonly thin?: number;
  /** The most of a text; without it 1,000. */
  readonly characters?: number;
}

export interface TablePage {
  readonly matching: number;
  readonly columns: readonly number[];
  readonly rows: readonly TableRow[];
}

export interface ColumnStatistics {
  readonly values: number;
  readonly nulls: number;
  readonly distinct: number;
  readonly minimum: number | null;
  readonly maximum: number | null;
  readonly mean: number | null;
  readonly bins: readonly { low: number; high: number; count: number }[];
  readonly common: readonly { text: string; count: number }[];
}

export interface TableAddress {
  readonly project: string;
  readonly runId: string;
  readonly digest: string;
}

type Abort = { signal?: AbortSignal };

export function tablePath({ project, runId, digest }: TableAddress): string {
  return pathFrom("projects", project, "runs", runId, "tables", digest);
}

export function getTable(table: TableAddress, abort: Abort = {}): Promise<TableFacts> {
  return request("GET", tablePath(table), abort);
}

export function queryTable(table: TableAddress, query: TableQuery, abort: Abort = {}): Promise<TablePage> {
  return request("POST", `${tablePath(table)}/query`, { body: query, ...abort });
}

export function getColumnStatistics(
  table: TableAddress,
  column: number,
  abort: Abort = {},
): Promise<ColumnStatistics> {
  return request("GET", `${tablePath(table)}/statistics`, { query: { column }, ...abort });
}

export function tableDownloadUrl(table: TableAddress, format: "csv" | "parquet"): string {
  return `${API}${tablePath(table)}/download?format=${format}`;
}
