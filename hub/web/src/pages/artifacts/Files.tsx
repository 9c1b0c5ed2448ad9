/** The files of a version, folder by folder or searched, and what one of them holds. */
import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";

import { fileDownloadUrl, getManifest, type Entry, type Manifest, type VersionAddress } from "../../api/artifacts.js";
import { formatAmount, formatBytes, formatCount } from "../../parts/format.js";
import { Failure, Notice } from "../../parts/Notice.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { viewState, type ViewState } from "../../state/navigation.js";
import { text } from "../../state/query.js";
import { useResource } from "../../state/resource.js";
import { folderRows, searchRows, type Row } from "./manifestRows.js";
import { Preview } from "./Preview.js";
import type { VersionTabProps } from "./versionTab.js";

/** The folder that is open, what is searched, and the file that is shown. */
const FIELDS = { dir: text(), q: text(), f: text() };
const ROWS_STEP = 500;

export function Files({ address, version }: VersionTabProps) {
  const resource = useResource(`manifest ${version.id}`, (signal) => getManifest(address, { signal }));
  const manifest = resource.data.value;
  const error = resource.error.value;
  if (manifest) return <Browser address={address} manifest={manifest} runId={version.run_id} />;
  if (error) return <Failure what="The files could not be read" error={error} onRetry={() => void resource.load()} />;
  return <Skeleton rows={12} />;
}

interface BrowserProps {
  address: VersionAddress;
  manifest: Manifest;
  runId: string;
}

function Browser({ address, manifest, runId }: BrowserProps) {
  const view = useMemo(() => viewState(FIELDS), []);
  const { dir, q, f } = view.values.value;
  const rows = useMemo(() => (q === "" ? folderRows(manifest, dir) : searchRows(manifest, q)), [manifest, dir, q]);
  const open = Object.hasOwn(manifest.entries, f) ? manifest.entries[f] : undefined;
  return (
    <div class={open ? "files with-preview" : "files"}>
      <section aria-label="Files">
        <div class="tools">
          {q === "" ? <FolderPath dir={dir} view={view} /> : <span class="fact" role="status">{`${formatAmount(rows.length, "file")} found`}</span>}
          <input
            type="search"
            class="grow"
            data-key="/"
            aria-label="Search files"
            placeholder="Search files"
            value={q}
            onInput={(event) => view.change({ q: event.currentTarget.value })}
          />
        </div>
        {rows.length === 0 && <Notice title={emptyText(manifest, q)} />}
        {rows.length > 0 && <Rows key={`${dir} ${q}`} rows={rows} address={address} view={view} />}
      </section>
      {open && (
        <section class="card preview" aria-label={`File ${f}`}>
          <header class="card-head">
            <h2 class="wrap">{f}</h2>
            <span class="fact">{sizeText(open)}</span>
            <button type="button" class="small" onClick={() => view.change({ f: "" })}>Close</button>
          </header>
          <Preview key={f} address={address} path={f} entry={open} runId={runId} />
        </section>
      )}
    </div>
  );
}

function emptyText(manifest: Manifest, search: string): string {
  if (manifest.count === 0) return "The version has no files";
  return search === "" ? "There is no such folder" : "No file matches";
}

function FolderPath({ dir, view }: { dir: string; view: ViewState<typeof FIELDS> }) {
  const parts = dir.split("/").slice(0, -1);
  const go = (folder: string) => view.change({ dir: folder }, { push: true });
  return (
    <nav class="folder-path" aria-label="Folder">
      <button type="button" class="quiet" onClick={() => go("")}>all files</button>
      {parts.map((part, at) => (
        <button key={at} type="button" class="quiet" onClick={() => go(`${parts.slice(0, at + 1).join("/")}/`)}>
          {`/ ${part}`}
        </button>
      ))}
    </nav>
  );
}

interface RowsProps {
  rows: readonly Row[];
  address: VersionAddress;
  view: ViewState<typeof FIELDS>;
}

function Rows({ rows, address, view }: RowsProps) {
  const rowsMax = useSignal(ROWS_STEP);
  const shown = rows.slice(0, rowsMax.value);
  const open = view.values.value.f;
  return (
    <>
      <div class="scroll-x" tabIndex={0} role="group" aria-label="Table of files">
        <table class="rows">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col" class="number">Size</th>
              <th scope="col"><span class="off-screen">Download</span></th>
            </tr>
          </thead>
          <tbody>
            {shown.map((row) => (
              <tr key={row.path} aria-current={row.path === open ? "true" : undefined}>
                <th scope="row">
                  <button
                    type="button"
                    class="quiet file-name"
                    onClick={() => view.change(row.kind === "folder" ? { dir: row.path } : { f: row.path }, { push: true })}
                  >
                    {row.kind === "folder" ? `${row.label}/` : row.label}
                  </button>
                </th>
                <td class="number">{row.kind === "folder" ? folderText(row.count, row.size) : sizeText(row.entry)}</td>
                <td>
                  {row.kind === "file" && row.entry.digest !== undefined && (
                    <a href={fileDownloadUrl(address, row.path)} download aria-label={`Download ${row.path}`}>Download</a>
                  )}
                  {row.kind === "file" && row.entry.reference !== undefined && <span class="tag">reference</span>}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {shown.length < rows.length && (
        <p class="more">
          <button type="button" onClick={() => (rowsMax.value += ROWS_STEP)}>{`Show more of ${formatCount(rows.length)}`}</button>
        </p>
      )}
    </>
  );
}

function folderText(count: number, size: number): string {
  return `${formatAmount(count, "file")}, ${formatBytes(size)}`;
}

function sizeText({ size }: Entry): string {
  return size === null ? "size unknown" : formatBytes(size);
}
