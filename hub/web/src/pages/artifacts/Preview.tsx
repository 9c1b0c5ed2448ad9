/** What a file of a version holds, as far as a browser can show it. Texts are text, never a page. */
import { useSignal } from "@preact/signals";

import { ApiError } from "../../api/errors.js";
import { getTable } from "../../api/tables.js";
import { blobUrl, fileDownloadUrl, readBlobStart, type Entry, type VersionAddress } from "../../api/artifacts.js";
import { CopyButton } from "../../parts/CopyButton.js";
import { formatBytes } from "../../parts/format.js";
import { lazy } from "../../parts/lazy.js";
import { Failure } from "../../parts/Notice.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { useResource } from "../../state/resource.js";
import { EMPTY_VIEW } from "../datatable/view.js";
import { previewKind, TEXT_BYTES_MAX, textOf } from "./previewText.js";

const DataTable = lazy(() => import("../datatable/DataTable.js").then((file) => file.DataTable));
/** A table's media are told by its run; a version without one has none to show. */
const NO_RUN = "-";

interface PreviewProps {
  address: VersionAddress;
  path: string;
  entry: Entry;
  /** That logged the version, "" for none. */
  runId: string;
}

export function Preview({ address, path, entry, runId }: PreviewProps) {
  if (entry.digest === undefined) return <Reference entry={entry} />;
  return (
    <>
      <Content address={address} path={path} digest={entry.digest} size={entry.size ?? 0} runId={runId} />
      <p class="preview-foot">
        <a class="button" href={fileDownloadUrl(address, path)} download>Download</a>
        <code class="wrap">{entry.digest}</code>
        <CopyButton what="the digest" text={entry.digest} />
      </p>
    </>
  );
}

function Reference({ entry: { reference = "", checksum } }: { entry: Entry }) {
  return (
    <>
      <p>stepwell has only a reference to this file:</p>
      <p class="preview-foot"><code class="wrap">{reference}</code> <CopyButton what="the reference" text={reference} /></p>
      {checksum && <p class="fact wrap">{`Checksum from its store: ${checksum}`}</p>}
    </>
  );
}

interface ContentProps {
  address: VersionAddress;
  path: string;
  digest: string;
  size: number;
  runId: string;
}

function Content({ address, path, digest, size, runId }: ContentProps) {
  switch (previewKind(path)) {
    case "picture":
      return <Picture url={blobUrl(digest)} path={path} />;
    case "audio":
      return <audio controls preload="none" src={blobUrl(digest)} aria-label={path} />;
    case "video":
      return <video controls preload="metadata" playsInline src={blobUrl(digest)} aria-label={path} />;
    case "table":
      return <Table project={address.project} runId={runId || NO_RUN} digest={digest} path={path} />;
    case "text":
      return <Text digest={digest} path={path} size={size} />;
  }
}

function Table({ path, ...table }: { project: string; runId: string; digest: string; path: string }) {
  const view = useSignal(EMPTY_VIEW);
  const found = useResource(table.digest, (signal) => getTable(table, { signal }));
  const error = found.error.value;
  if (error instanceof ApiError && error.status === 404) {
    return <p class="fact">This Parquet file is not a table of a run, so the page cannot show it.</p>;
  }
  if (error) return <Failure what="The table could not be read" error={error} onRetry={() => void found.load()} />;
  if (!found.data.value) return <Skeleton rows={4} />;
  return (
    <DataTable
      {...table}
      name={path}
      view={view.value}
      onView={(next) => (view.value = next)}
      onOpen={(medium) => open(medium.url, "_blank", "noopener")}
    />
  );
}

function Picture({ url, path }: { url: string; path: string }) {
  const isBad = useSignal(false);
  if (isBad.value) return <p class="fact">The browser cannot show this picture.</p>;
  return <img src={url} alt={path} decoding="async" onError={() => (isBad.value = true)} />;
}

function Text({ digest, path, size }: { digest: string; path: string; size: number }) {
  const start = useResource(digest, async (signal) =>
    size === 0 ? new Uint8Array() : await readBlobStart(digest, TEXT_BYTES_MAX, { signal }),
  );
  const bytes = start.data.value;
  const error = start.error.value;
  if (error && !bytes) return <Failure what="The file could not be read" error={error} onRetry={() => void start.load()} />;
  if (!bytes) return <Skeleton rows={6} />;
  if (size === 0) return <p class="fact">The file is empty.</p>;
  const isWhole = bytes.length >= size;
  const shown = textOf(bytes, { path, isWhole });
  if (shown === null) return <p class="fact">The browser cannot show files of this type.</p>;
  return (
    <>
      <pre tabIndex={0} class="preview-text">{shown}</pre>
      {!isWhole && <p class="fact">{`The first ${formatBytes(bytes.length)}; the download has the whole file`}</p>}
    </>
  );
}
