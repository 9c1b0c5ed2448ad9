/** Reports: types of the hub's JSON, and one function per request. */
import { API, pathFrom, request, type RequestOptions } from "./client.js";

type Abort = Pick<RequestOptions, "signal">;

export interface ReportOverview {
  id: string;
  project: string;
  title: string;
  version: number;
  /** Bytes of the text. */
  size: number;
  created_at: number;
  updated_at: number;
}

export interface Report extends Omit<ReportOverview, "size"> {
  /** Markdown. */
  text: string;
}

export interface ReportVersion {
  version: number;
  title: string;
  size: number;
  saved_at: number;
}

/** A string, or a tag with its attributes and nodes. The hub sends known tags and attributes only. */
export type TextNode = string | readonly [string, Readonly<Record<string, string | number>>, ...TextNode[]];

export interface Problem {
  /** Of the report's text, from 1. */
  line: number;
  field: string;
  message: string;
}

export type PanelFields = Readonly<Record<string, string | number | null | readonly string[]>>;

/** A piece of a report: a text, a panel, or what is wrong with one. */
export interface Block {
  line: number;
  nodes: readonly TextNode[];
  /** "" for a text. */
  panel: string;
  fields: PanelFields | null;
  problems: readonly Problem[];
  source: string;
}

export interface PanelField {
  name: string;
  type: string;
  about: string;
  default: string | number | null | readonly string[];
  required: boolean;
  choices: readonly string[];
}

export interface PanelKind {
  name: string;
  about: string;
  fields: readonly PanelField[];
  example: string;
}

export function listReports(
  project: string,
  query: { limit: number; cursor?: string | null },
  abort: Abort = {},
): Promise<{ reports: readonly ReportOverview[]; next_cursor: string | null }> {
  return request("GET", `${pathFrom("projects", project)}/reports`, { query, ...abort });
}

/** `key` makes the request safe to repeat: the same key is the same report. */
export function createReport(project: string, body: { key: string; title: string; text: string }): Promise<Report> {
  return request("POST", `${pathFrom("projects", project)}/reports`, { body });
}

export function getReport(reportId: string, version: number | null, abort: Abort = {}): Promise<Report> {
  const path = pathFrom("reports", reportId);
  return request("GET", version === null ? path : `${path}/versions/${version}`, abort);
}

/** `version` is the one that the text is based on. */
export function saveReport(
  reportId: string,
  body: { version: number; title: string; text: string },
): Promise<Report> {
  return request("PUT", pathFrom("reports", reportId), { body });
}

export function deleteReport(reportId: string): Promise<void> {
  return request("DELETE", pathFrom("reports", reportId));
}

export function listReportVersions(
  reportId: string,
  abort: Abort = {},
): Promise<{ versions: readonly ReportVersion[] }> {
  return request("GET", `${pathFrom("reports", reportId)}/versions`, abort);
}

export function readDraft(text: string, abort: Abort = {}): Promise<{ blocks: readonly Block[] }> {
  return request("POST", "/report-documents", { body: { text }, ...abort });
}

export function listPanelKinds(abort: Abort = {}): Promise<{ kinds: readonly PanelKind[] }> {
  return request("GET", "/report-panels", abort);
}

export function exportUrl(reportId: string): string {
  return `${API}${pathFrom("reports", reportId)}/export`;
}
