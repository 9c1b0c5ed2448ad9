/** Artifacts: types of the hub's JSON, and one function per request. */
import { API, pathFrom, queryString, request, requestResponse, type RequestOptions } from "./client.js";
import type { ValueMap } from "./values.js";

type Abort = Pick<RequestOptions, "signal">;

export interface Collection {
  readonly project: string;
  readonly name: string;
  readonly type: string;
  /** Committed ones. */
  readonly versions: number;
  readonly pending: number;
  readonly latest: string;
  readonly size: number;
  readonly created_at: number;
  readonly updated_at: number;
}

export interface Version {
  readonly id: string;
  readonly project: string;
  readonly name: string;
  readonly type: string;
  /** "v3" */
  readonly version: string;
  readonly digest: string;
  readonly state: "pending" | "committed" | "failed" | "deleted";
  readonly aliases: readonly string[];
  readonly description: string;
  readonly metadata: ValueMap;
  readonly size: number;
  readonly file_count: number;
  readonly run_id: string;
  readonly created_at: number;
  readonly committed_at: number | null;
}

export interface VersionsPage {
  readonly versions: readonly Version[];
  readonly next_cursor: string | null;
}

/** A blob, or a reference to bytes that are kept elsewhere. */
export interface Entry {
  readonly digest?: string;
  readonly reference?: string;
  readonly checksum?: string;
  readonly size: number | null;
}

export interface Manifest {
  readonly count: number;
  readonly size: number;
  readonly entries: Readonly<Record<string, Entry>>;
}

export interface LineageNode {
  readonly id: string;
  readonly kind: "run" | "version";
  readonly project: string;
  /** A run's id, or NAME:vN. */
  readonly name: string;
  readonly type: string;
  readonly is_deleted: boolean;
  readonly title: string;
  readonly state: string;
  readonly last_seen: number | null;
}

export interface LineageEdge {
  readonly source: string;
  readonly target: string;
  readonly kind: "logged" | "used";
}

export interface Lineage {
  readonly nodes: readonly LineageNode[];
  readonly edges: readonly LineageEdge[];
  readonly is_cut: boolean;
}

export interface VersionAddress {
  readonly project: string;
  readonly name: string;
  /** A number, "v3", or an alias. */
  readonly version: string;
}

export function listArtifacts(
  project: string,
  query: { search: string; type: string; limit: number },
  abort: Abort = {},
): Promise<{ collections: readonly Collection[]; next_cursor: string | null; types: readonly string[] }> {
  return request("GET", `${pathFrom("projects", project)}/artifacts`, { query, ...abort });
}

export function listVersions(
  project: string,
  name: string,
  query: { limit: number; cursor?: string | null },
  abort: Abort = {},
): Promise<VersionsPage> {
  return request("GET", `${pathFrom("projects", project, "artifacts", name)}/versions`, { query, ...abort });
}

export function listRunArtifacts(
  project: string,
  runId: string,
  query: { kind: LineageEdge["kind"]; limit: number },
  abort: Abort = {},
): Promise<VersionsPage> {
  return request("GET", `${pathFrom("projects", project, "runs", runId)}/artifacts`, { query, ...abort });
}

export function getVersion(address: VersionAddress, abort: Abort = {}): Promise<Version> {
  return request("GET", versionPath(address), abort);
}

export function changeVersion(address: VersionAddress, changes: { description: string }): Promise<Version> {
  return request("PATCH", versionPath(address), { body: changes });
}

export function deleteVersion(address: VersionAddress, { force }: { force: boolean }): Promise<void> {
  return request("DELETE", versionPath(address), { query: { force } });
}

export function setAlias({ project, name, version }: VersionAddress, alias: string): Promise<Version> {
  return request("PUT", pathFrom("projects", project, "artifacts", name, "aliases", alias), { body: { version } });
}

export function removeAlias({ project, name }: VersionAddress, alias: string): Promise<void> {
  return request("DELETE", pathFrom("projects", project, "artifacts", name, "aliases", alias));
}

export function getManifest(address: VersionAddress, abort: Abort = {}): Promise<Manifest> {
  return request("GET", `${versionPath(address)}/manifest`, abort);
}

export function getLineage(
  address: VersionAddress,
  query: { depth: number; limit: number; direct: boolean },
  abort: Abort = {},
): Promise<Lineage> {
  return request("GET", `${versionPath(address)}/lineage`, { query, ...abort });
}

/** Up to `bytesMax` bytes from the start of a blob. */
export async function readBlobStart(digest: string, bytesMax: number, abort: Abort = {}): Promise<Uint8Array> {
  const response = await requestResponse("GET", pathFrom("blobs", digest), {
    headers: { Range: `bytes=0-${bytesMax - 1}` },
    ...abort,
  });
  return new Uint8Array(await response.arrayBuffer());
}

export function blobUrl(digest: string): string {
  return `${API}${pathFrom("blobs", digest)}`;
}

/** The address that saves a file of a version under its own name. */
export function fileDownloadUrl(address: VersionAddress, path: string): string {
  return `${API}${versionPath(address)}/file${queryString({ path, download: true })}`;
}

function versionPath({ project, name, version }: VersionAddress): string {
  return pathFrom("projects", project, "artifacts", name, "versions", version);
}
