/** What a version is: facts, how to use it, metadata, and the other versions of the artifact. */
import { useSignal } from "@preact/signals";

import { changeVersion, getLineage, listVersions, removeAlias, setAlias } from "../../api/artifacts.js";
import type { LineageNode, Version } from "../../api/artifacts.js";
import { Age } from "../../parts/Age.js";
import { CopyButton } from "../../parts/CopyButton.js";
import { Editable } from "../../parts/Editable.js";
import { formatAmount, formatBytes, formatCount, formatMoment } from "../../parts/format.js";
import { Failure } from "../../parts/Notice.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { Snippet } from "../../parts/Snippet.js";
import { StateBadge } from "../../parts/StateBadge.js";
import { ValueTree } from "../../parts/ValueTree.js";
import { useResource } from "../../state/resource.js";
import { pathOf } from "../../state/routes.js";
import { say } from "../../state/toasts.js";
import { Fact } from "../run/Fact.js";
import { useLines } from "./snippets.js";
import type { VersionTabProps } from "./versionTab.js";
import { Aliases, VersionLink } from "./VersionLink.js";

const VERSIONS_STEP = 100;
const RUNS_MAX = 1000;
const RUNS_FIRST = 20;

export function Overview(props: VersionTabProps) {
  const { version } = props;
  return (
    <div class="overview">
      <div class="column">
        <Facts {...props} />
        <section class="card" aria-label="Use">
          <header class="card-head"><h2>Use it</h2></header>
          <Snippet text={useLines(version.name, version.version)} what="the Python lines" />
        </section>
      </div>
      <div class="column">
        <Runs {...props} />
        <ValueTree title="Metadata" root={version.metadata} empty="The version has no metadata." />
      </div>
      <Versions version={version} />
    </div>
  );
}

function Facts({ address, version, onChanged }: VersionTabProps) {
  const describe = async (description: string) => {
    try {
      onChanged(await changeVersion(address, { description }));
    } catch (failure) {
      say(`The description was not changed: ${(failure as Error).message}`, "bad");
    }
  };
  return (
    <section class="card" aria-label="Version">
      <header class="card-head"><h2>Version</h2></header>
      <dl class="facts">
        <Fact name="Type">{version.type}</Fact>
        <Fact name="Aliases"><AliasEditor address={address} version={version} onChanged={onChanged} /></Fact>
        <Fact name="Description">
          <Editable what="the description" value={version.description} isLong onSave={(text) => void describe(text)}>
            <span class="notes">{version.description}</span>
          </Editable>
        </Fact>
        <Fact name="Size">{`${formatBytes(version.size)} in ${formatAmount(version.file_count, "file")}`}</Fact>
        <Fact name="Digest">
          <code class="wrap">{version.digest}</code> <CopyButton what="the digest" text={version.digest} />
        </Fact>
        <Fact name="Logged">{formatMoment(version.committed_at ?? version.created_at)}</Fact>
      </dl>
    </section>
  );
}

function AliasEditor({ address, version, onChanged }: Omit<VersionTabProps, "onReload">) {
  const draft = useSignal("");
  const change = async (work: () => Promise<Version>) => {
    try {
      onChanged(await work());
      draft.value = "";
    } catch (failure) {
      say(`The aliases were not changed: ${(failure as Error).message}`, "bad");
    }
  };
  const remove = (alias: string) =>
    change(async () => {
      await removeAlias(address, alias);
      return { ...version, aliases: version.aliases.filter((each) => each !== alias) };
    });
  return (
    <>
      {version.aliases.map((alias) => (
        <span key={alias} class="tag alias">
          {alias}
          {alias !== "latest" && (
            <button type="button" class="quiet small" aria-label={`Remove the alias ${alias}`} onClick={() => void remove(alias)}>
              ×
            </button>
          )}
        </span>
      ))}
      <form
        class="alias-form"
        onSubmit={(event) => {
          event.preventDefault();
          const alias = draft.value.trim();
          if (alias !== "") void change(() => setAlias(address, alias));
        }}
      >
        <input
          type="text"
          aria-label="New alias"
          placeholder="new alias"
          title="An alias of another version moves to this version"
          value={draft.value}
          onInput={(event) => (draft.value = event.currentTarget.value)}
        />
        <button type="submit" class="small" disabled={draft.value.trim() === ""}>Add</button>
      </form>
    </>
  );
}

function Runs({ address, version }: VersionTabProps) {
  const near = useResource(`runs of ${version.id}`, (signal) =>
    getLineage(address, { depth: 1, limit: RUNS_MAX, direct: false }, { signal }),
  );
  const lineage = near.data.value;
  const runsOf = (kind: "logged" | "used") => {
    const ids = new Set(
      lineage?.edges.filter((edge) => edge.kind === kind).map(({ source, target }) => (kind === "logged" ? source : target)),
    );
    return lineage?.nodes.filter(({ id }) => ids.has(id)) ?? [];
  };
  const error = near.error.value;
  return (
    <section class="card" aria-label="Runs">
      <header class="card-head"><h2>Runs</h2></header>
      {error && !lineage && <Failure what="The runs could not be read" error={error} onRetry={() => void near.load()} />}
      {!lineage && !error && <Skeleton rows={3} />}
      {lineage && (
        <dl class="facts">
          <Fact name="Logged by"><RunList runs={runsOf("logged")} project={version.project} empty="no run" /></Fact>
          <Fact name="Used by"><RunList runs={runsOf("used")} project={version.project} empty="no run yet" /></Fact>
        </dl>
      )}
    </section>
  );
}

function RunList({ runs, project, empty }: { runs: readonly LineageNode[]; project: string; empty: string }) {
  const isWhole = useSignal(false);
  const shown = isWhole.value ? runs : runs.slice(0, RUNS_FIRST);
  if (runs.length === 0) return <span class="fact">{empty}</span>;
  return (
    <ul class="plain-list">
      {shown.map((run) => <li key={run.id}><RunNode run={run} project={project} /></li>)}
      {shown.length < runs.length && (
        <li>
          <button type="button" class="small" onClick={() => (isWhole.value = true)}>
            {`Show all ${formatCount(runs.length)} runs`}
          </button>
        </li>
      )}
    </ul>
  );
}

function RunNode({ run, project }: { run: LineageNode; project: string }) {
  const title = run.project === project ? run.title : `${run.project}/${run.title}`;
  if (run.is_deleted) return <>{title} <span class="tag">deleted</span></>;
  return (
    <>
      <a href={pathOf({ page: "run", project: run.project, runId: run.name, tab: "charts" })} title={run.name}>{title}</a>{" "}
      <StateBadge state={run.state} lastSeen={run.last_seen} />
    </>
  );
}

function Versions({ version }: { version: Version }) {
  const { project, name } = version;
  const list = useResource(`versions of ${project}/${name}`, (signal) =>
    listVersions(project, name, { limit: VERSIONS_STEP }, { signal }),
  );
  const page = list.data.value;
  const error = list.error.value;
  const more = async (cursor: string) => {
    try {
      const next = await listVersions(project, name, { limit: VERSIONS_STEP, cursor });
      list.set({ ...next, versions: [...(page?.versions ?? []), ...next.versions] });
    } catch (failure) {
      say(`More versions could not be read: ${(failure as Error).message}`, "bad");
    }
  };
  const next = page?.next_cursor;
  return (
    <section class="card" aria-label="Versions">
      <header class="card-head"><h2>Versions</h2></header>
      {error && !page && <Failure what="The versions could not be read" error={error} onRetry={() => void list.load()} />}
      {!page && !error && <Skeleton rows={6} />}
      {page && (
        <div class="scroll-x versions" tabIndex={0} role="group" aria-label="Table of versions">
          <table class="rows dense">
            <tbody>
              {page.versions.map((each) => {
                const shown = each.id === version.id ? version : each;
                return (
                  <tr key={each.id} aria-current={each.id === version.id ? "true" : undefined}>
                    <th scope="row"><VersionLink version={each} project={project} /> <Aliases aliases={shown.aliases} /></th>
                    <td class="number">{formatBytes(each.size)}</td>
                    <td><Age moment={each.committed_at} /></td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {next != null && <button type="button" class="small" onClick={() => void more(next)}>Show older versions</button>}
    </section>
  );
}
