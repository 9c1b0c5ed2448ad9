/** Where a run's code came from, and how it was started. */
import type { ValueMap } from "../../api/values.js";
import { CopyButton } from "../../parts/CopyButton.js";
import { sourceOf } from "../../state/source.js";
import { Fact } from "./Fact.js";

export function Source({ metadata }: { metadata: ValueMap }) {
  const { command, folder, commit, branch, remote, isDirty, python } = sourceOf(metadata);
  if (command === "" && commit === "" && python === "") return null;
  return (
    <section class="card" aria-label="Source">
      <header class="card-head">
        <h2>Source</h2>
      </header>
      <dl class="facts">
        {command !== "" && (
          <Fact name="Command">
            <code class="wrap">{command}</code> <CopyButton what="the command" text={command} />
          </Fact>
        )}
        {folder !== "" && (
          <Fact name="Folder">
            <code class="wrap">{folder}</code>
          </Fact>
        )}
        {commit !== "" && (
          <Fact name="Commit">
            <code title={commit}>{commit.slice(0, 12)}</code>
            {isDirty && <span class="badge stale">uncommitted changes</span>}
            <CopyButton what="the commit" text={commit} />
          </Fact>
        )}
        {branch !== "" && <Fact name="Branch">{branch}</Fact>}
        {remote !== "" && (
          <Fact name="Remote">
            <span class="wrap">{remote}</span>
          </Fact>
        )}
        {python !== "" && <Fact name="Python">{python}</Fact>}
      </dl>
    </section>
  );
}
