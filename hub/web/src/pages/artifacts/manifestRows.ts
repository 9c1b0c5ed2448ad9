/** The files of a manifest as folders, and what differs between two manifests. Pure. */
import type { Entry, Manifest } from "../../api/artifacts.js";

export interface FileRow {
  readonly kind: "file";
  readonly path: string;
  /** The last part of the path, or all of it in a search. */
  readonly label: string;
  readonly entry: Entry;
}

export interface FolderRow {
  readonly kind: "folder";
  /** With a slash at its end. */
  readonly path: string;
  readonly label: string;
  readonly count: number;
  readonly size: number;
}

export type Row = FileRow | FolderRow;

/** What a folder holds, folders first. `folder` is "" or ends with a slash. */
export function folderRows(manifest: Manifest, folder: string): Row[] {
  const folders = new Map<string, { count: number; size: number }>();
  const files: FileRow[] = [];
  for (const [path, entry] of Object.entries(manifest.entries)) {
    if (!path.startsWith(folder)) continue;
    const rest = path.slice(folder.length);
    const slash = rest.indexOf("/");
    if (slash < 0) {
      files.push({ kind: "file", path, label: rest, entry });
      continue;
    }
    const label = rest.slice(0, slash);
    const known = folders.get(label) ?? { count: 0, size: 0 };
    folders.set(label, { count: known.count + 1, size: known.size + (entry.size ?? 0) });
  }
  const folderRow = ([label, { count, size }]: [string, { count: number; size: number }]): FolderRow => ({
    kind: "folder", path: `${folder}${label}/`, label, count, size,
  });
  return [...[...folders].map(folderRow).sort(byLabel), ...files.sort(byLabel)];
}

/** Files whose path has `search` in it, without regard to case. */
export function searchRows(manifest: Manifest, search: string): Row[] {
  const wanted = search.toLowerCase();
  return Object.entries(manifest.entries)
    .filter(([path]) => path.toLowerCase().includes(wanted))
    .map(([path, entry]): FileRow => ({ kind: "file", path, label: path, entry }))
    .sort(byLabel);
}

export type ChangeKind = "added" | "removed" | "changed";

export interface Change {
  readonly kind: ChangeKind;
  readonly path: string;
  readonly before: Entry | null;
  readonly after: Entry | null;
}

/** What is not the same, by path. */
export function compareManifests(before: Manifest, after: Manifest): Change[] {
  const changes: Change[] = [];
  for (const [path, entry] of Object.entries(before.entries)) {
    const now = Object.hasOwn(after.entries, path) ? after.entries[path]! : null;
    if (now === null) changes.push({ kind: "removed", path, before: entry, after: null });
    else if (!isSame(entry, now)) changes.push({ kind: "changed", path, before: entry, after: now });
  }
  for (const [path, entry] of Object.entries(after.entries)) {
    if (!Object.hasOwn(before.entries, path)) changes.push({ kind: "added", path, before: null, after: entry });
  }
  return changes.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function isSame(a: Entry, b: Entry): boolean {
  return a.digest === b.digest && a.reference === b.reference && a.checksum === b.checksum && a.size === b.size;
}

const ORDER = new Intl.Collator("en", { numeric: true });

function byLabel(a: Row, b: Row): number {
  return ORDER.compare(a.label, b.label);
}
