/** What files differ between a version and another one of the artifact. */
import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";

import { getManifest, listVersions, type Entry, type Manifest, type Version } from "../../api/artifacts.js";
import { formatAmount, formatBytes, formatCount } from "../../parts/format.js";
import { Failure, Notice } from "../../parts/Notice.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { viewState } from "../../state/navigation.js";
import { text } from "../../state/query.js";
import { useResource } from "../../state/resource.js";
import { compareManifests, type Change, type ChangeKind } from "./manifestRows.js";
import type { VersionTabProps } from "./versionTab.js";

/** The other version; "" is the one before. */
const FIELDS = { with: text() };
const VERSIONS_MAX = 10_000;
const ROWS_STEP = 500;
const KINDS: readonly ChangeKind[] = ["added", "removed", "changed"];

export function Compare({ address, version }: VersionTabProps) {
  const { project, name } = version;
  const view = useMemo(() => viewState(FIELDS), []);
  const list = useResource(`all versions of ${project}/${name}`, (signal) =>
    listVersions(project, name, { limit: VERSIONS_MAX }, { signal }),
  );
  const error = list.error.value;
  if (!list.data.value) {
    if (error) return <Failure what="The versions could not be read" error={error} onRetry={() => void list.load()} />;
    return <Skeleton rows={6} />;
  }
  const others = list.data.value.versions.filter(({ id }) => id !== version.id);
  const asked = view.values.value.with;
  const other = others.find((each) => each.version === asked) ?? versionBefore(others, version);
  if (other === undefined) {
    return <Notice title="There is no other version"><p>{`${name} has one version: nothing to compare it with.`}</p></Notice>;
  }
  return (
    <section aria-label="Comparison">
      <div class="tools">
        <label class="fact" for="compare-with">Changes from</label>
        <select id="compare-with" value={other.version} onChange={(event) => view.change({ with: event.currentTarget.value })}>
          {others.map((each) => (
            <option key={each.id} value={each.version}>{[each.version, ...each.aliases].join(" ")}</option>
          ))}
        </select>
        <span class="fact">{`to ${version.version}`}</span>
      </div>
      <Differences key={other.id} address={address} before={other} after={version} />
    </section>
  );
}

/** The newest of those that are older, else the oldest. `others` are the newest first. */
function versionBefore(others: readonly Version[], version: Version): Version | undefined {
  const numberOf = (each: Version) => Number(each.version.slice(1));
  return others.find((each) => numberOf(each) < numberOf(version)) ?? others.at(-1);
}

interface DifferencesProps {
  address: { project: string; name: string; version: string };
  before: Version;
  after: Version;
}

function Differences({ address, before, after }: DifferencesProps) {
  const both = useResource<[Manifest, Manifest]>(`${before.id} ${after.id}`, (signal) =>
    Promise.all([getManifest({ ...address, version: before.version }, { signal }), getManifest(address, { signal })]),
  );
  const kind = useSignal<ChangeKind | "">("");
  const rowsMax = useSignal(ROWS_STEP);
  const found = both.data.value;
  const changes = useMemo(() => (found ? compareManifests(found[0], found[1]) : []), [found]);
  const error = both.error.value;
  if (!found) {
    if (error) return <Failure what="The files could not be compared" error={error} onRetry={() => void both.load()} />;
    return <Skeleton rows={6} />;
  }
  if (changes.length === 0) {
    return <Notice title="The same files"><p>{`${before.version} and ${after.version} differ only in description and metadata.`}</p></Notice>;
  }
  const fitting = kind.value === "" ? changes : changes.filter((each) => each.kind === kind.value);
  const shown = fitting.slice(0, rowsMax.value);
  const same = after.file_count - changes.filter((each) => each.kind !== "removed").length;
  return (
    <>
      <div class="tools" role="group" aria-label="Kinds of changes">
        {KINDS.map((each) => {
          const count = changes.filter((change) => change.kind === each).length;
          return (
            <button
              key={each}
              type="button"
              class="small"
              aria-pressed={kind.value === each}
              disabled={count === 0}
              onClick={() => (kind.value = kind.value === each ? "" : each)}
            >
              {`${formatCount(count)} ${each}`}
            </button>
          );
        })}
        <span class="fact">{`${formatAmount(same, "file")} unchanged`}</span>
      </div>
      <div class="scroll-x" tabIndex={0} role="group" aria-label="Table of changes">
        <table class="rows">
          <thead>
            <tr>
              <th scope="col">Change</th>
              <th scope="col">File</th>
              <th scope="col" class="number">{before.version}</th>
              <th scope="col" class="number">{after.version}</th>
            </tr>
          </thead>
          <tbody>{shown.map((change) => <ChangeRow key={change.path} change={change} />)}</tbody>
        </table>
      </div>
      {shown.length < fitting.length && (
        <p class="more">
          <button type="button" onClick={() => (rowsMax.value += ROWS_STEP)}>{`Show more of ${formatAmount(fitting.length, "change")}`}</button>
        </p>
      )}
    </>
  );
}

function ChangeRow({ change: { kind, path, before, after } }: { change: Change }) {
  return (
    <tr>
      <td><span class={`change ${kind}`}>{kind}</span></td>
      <th scope="row">{path}</th>
      <td class="number" title={titleOf(before)}>{sizeOf(before)}</td>
      <td class="number" title={titleOf(after)}>{sizeOf(after)}</td>
    </tr>
  );
}

function sizeOf(entry: Entry | null): string {
  if (entry === null) return "–";
  return entry.size === null ? "size unknown" : formatBytes(entry.size);
}

function titleOf(entry: Entry | null): string | undefined {
  return entry?.digest ?? entry?.reference;
}
