/** The artifacts of a project: searched by name, by type, sorted by a column. */
import { useMemo } from "preact/hooks";

import { listArtifacts, type Collection } from "../../api/artifacts.js";
import { ApiError } from "../../api/errors.js";
import { Age } from "../../parts/Age.js";
import { formatAmount, formatBytes, formatCount } from "../../parts/format.js";
import { Failure, Notice } from "../../parts/Notice.js";
import { PageHeader } from "../../parts/PageHeader.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { Snippet } from "../../parts/Snippet.js";
import { viewState } from "../../state/navigation.js";
import { usePolling } from "../../state/polling.js";
import { text } from "../../state/query.js";
import { useResource } from "../../state/resource.js";
import { pathOf } from "../../state/routes.js";
import { NEWEST_FIRST, sortAfter, sortCollections, type ColumnKey } from "./collections.js";
import { logLines } from "./snippets.js";

const FIELDS = { q: text(), type: text(), s: text(NEWEST_FIRST) };
const SHOWN_MAX = 1000;

export function Artifacts({ project }: { project: string }) {
  const view = useMemo(() => viewState(FIELDS), []);
  const { q, type, s } = view.values.value;
  const resource = useResource(JSON.stringify([project, q, type]), (signal) =>
    listArtifacts(project, { search: q, type, limit: SHOWN_MAX }, { signal }),
  );
  const page = resource.data.value;
  const error = resource.error.value;
  const isEmpty = page?.collections.length === 0;
  const isFiltered = q !== "" || type !== "";
  usePolling(resource, page === null || isEmpty || page.collections.some(({ pending }) => pending > 0));
  return (
    <main>
      <PageHeader crumbs={[{ label: project, href: pathOf({ page: "charts", project }) }, { label: "Artifacts" }]}>
        <input
          type="search"
          class="grow"
          data-key="/"
          aria-label="Search artifacts"
          placeholder="Search artifacts"
          value={q}
          onInput={(event) => view.change({ q: event.currentTarget.value })}
        />
        <select aria-label="Type" value={type} onChange={(event) => view.change({ type: event.currentTarget.value })}>
          <option value="">All types</option>
          {typesShown(page?.types ?? [], type).map((each) => <option key={each} value={each}>{each}</option>)}
        </select>
      </PageHeader>
      {error && (!page || error instanceof ApiError) && (
        <Failure what="The artifacts could not be read" error={error} onRetry={() => void resource.load()} />
      )}
      {!page && !error && <Skeleton />}
      {isEmpty && !isFiltered && <NoArtifacts project={project} />}
      {isEmpty && isFiltered && (
        <Notice title="No artifact matches">
          <p>{`${formatAmount(page.types.length, "type")} of artifacts ${page.types.length === 1 ? "is" : "are"} in this project.`}</p>
          <button type="button" onClick={() => view.change({ q: "", type: "" })}>Show all artifacts</button>
        </Notice>
      )}
      {page && !isEmpty && (
        <CollectionsTable
          collections={sortCollections(page.collections, s)}
          sort={s}
          onSort={(column) => view.change({ s: sortAfter(s, column) })}
        />
      )}
      {page?.next_cursor != null && (
        <p class="fact more">{`The first ${formatCount(SHOWN_MAX)} artifacts by name: search for others`}</p>
      )}
    </main>
  );
}

/** The types of the project, with one that the address names although it is not there. */
function typesShown(types: readonly string[], chosen: string): readonly string[] {
  return chosen === "" || types.includes(chosen) ? types : [...types, chosen];
}

function NoArtifacts({ project }: { project: string }) {
  return (
    <section class="first-run" aria-label="The first artifact">
      <h2>No artifact yet</h2>
      <p>An artifact is a set of files with a name and versions, for example a data set or a model. Log one in a script:</p>
      <Snippet text={logLines(project)} what="the Python lines" />
      <p class="fact">It appears here without a reload.</p>
    </section>
  );
}

interface CollectionsTableProps {
  collections: readonly Collection[];
  sort: string;
  onSort(column: ColumnKey): void;
}

function CollectionsTable({ collections, sort, onSort }: CollectionsTableProps) {
  const head = (column: ColumnKey, title: string, className = "") => {
    const isSorted = sort.replace(/^-/, "") === column;
    const direction = sort.startsWith("-") ? "descending" : "ascending";
    return (
      <th scope="col" class={className} aria-sort={isSorted ? direction : undefined}>
        <button type="button" class="sort" title={`${title}: click to sort`} onClick={() => onSort(column)}>
          <span class="sort-title">{title}</span>
          {isSorted && <span aria-hidden="true">{direction === "ascending" ? "↑" : "↓"}</span>}
        </button>
      </th>
    );
  };
  return (
    <div class="scroll-x" tabIndex={0} role="group" aria-label="Table of artifacts">
      <table class="rows">
        <thead>
          <tr>
            {head("name", "Artifact")}
            {head("type", "Type")}
            {head("versions", "Versions", "number")}
            <th scope="col">Latest</th>
            {head("size", "Size", "number wide")}
            {head("updated_at", "Updated")}
          </tr>
        </thead>
        <tbody>
          {collections.map((each) => <CollectionRow key={each.name} collection={each} />)}
        </tbody>
      </table>
    </div>
  );
}

function CollectionRow({ collection }: { collection: Collection }) {
  const { project, name, type, versions, pending, latest, size, updated_at } = collection;
  return (
    <tr>
      <th scope="row">
        <a href={pathOf({ page: "version", project, name, version: "latest", tab: "overview" })}>{name}</a>
        {pending > 0 && (
          <> <span class="tag" title="The node is still storing its files">{`${formatCount(pending)} pending`}</span></>
        )}
      </th>
      <td>{type}</td>
      <td class="number">{formatCount(versions)}</td>
      <td>
        {latest !== "" && <a href={pathOf({ page: "version", project, name, version: latest, tab: "overview" })}>{latest}</a>}
      </td>
      <td class="number wide">{formatBytes(size)}</td>
      <td><Age moment={updated_at} /></td>
    </tr>
  );
}
