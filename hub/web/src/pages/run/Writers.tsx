/** The processes that logged into a run. */
import { useSignal } from "@preact/signals";

import type { Writer } from "../../api/types.js";
import { Age } from "../../parts/Age.js";
import { formatCount } from "../../parts/format.js";
import { Failure } from "../../parts/Notice.js";
import { StateBadge } from "../../parts/StateBadge.js";
import type { Resource } from "../../state/resource.js";

const SHOWN_MAX = 16;

export function Writers({ writers }: { writers: Resource<{ writers: readonly Writer[] }> }) {
  const isWhole = useSignal(false);
  const all = writers.data.value?.writers ?? [];
  const shown = isWhole.value ? all : all.slice(0, SHOWN_MAX);
  if (writers.error.value && all.length === 0) {
    return (
      <Failure what="The writers could not be read" error={writers.error.value} onRetry={() => void writers.load()} />
    );
  }
  return (
    <section class="card" aria-label="Writers">
      <header class="card-head">
        <h2>Writers</h2>
        <span class="fact">{formatCount(all.length)}</span>
      </header>
      <div class="scroll-x" tabIndex={0} role="group" aria-label="Table of writers">
        <table class="rows dense">
          <thead>
            <tr>
              <th scope="col">Label</th>
              <th scope="col" class="number">Rank</th>
              <th scope="col">Host</th>
              <th scope="col" class="number">Pid</th>
              <th scope="col">State</th>
              <th scope="col">Seen</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((writer) => (
              <tr key={writer.writer_id} title={`${writer.writer_id}\n${writer.client}`}>
                <th scope="row">{writer.label || "–"}</th>
                <td class="number">{rankText(writer)}</td>
                <td>{writer.host}</td>
                <td class="number">{writer.pid}</td>
                <td>
                  <StateBadge state={writer.state} lastSeen={writer.last_seen} exitCode={writer.exit_code} always />
                </td>
                <td><Age moment={writer.last_seen} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {shown.length < all.length && (
        <button type="button" class="small" onClick={() => (isWhole.value = true)}>
          {`Show all ${formatCount(all.length)}`}
        </button>
      )}
    </section>
  );
}

function rankText({ rank, world_size }: Writer): string {
  if (rank === null || (world_size ?? 0) <= 1) return "";
  return `${rank} of ${world_size}`;
}
