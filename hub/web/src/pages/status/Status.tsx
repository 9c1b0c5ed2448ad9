/** What the hub, the daemon and the store say about themselves. */
import { useEffect } from "preact/hooks";

import { isSignedOut } from "../../api/client.js";
import { getStatus, logOut } from "../../api/hub.js";
import type { HubStatus } from "../../api/types.js";
import { formatBytes, formatCount, formatDuration, formatMoment, formatValue } from "../../parts/format.js";
import { Failure, Notice } from "../../parts/Notice.js";
import { PageHeader } from "../../parts/PageHeader.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { ValueTree } from "../../parts/ValueTree.js";
import type { Value, ValueMap } from "../../api/values.js";
import { now } from "../../state/clock.js";
import { useResource } from "../../state/resource.js";
import { say } from "../../state/toasts.js";
import { DaemonWriters } from "./DaemonWriters.js";
import { daemonText } from "./daemonText.js";

const AGAIN_MS = 5000;

export function Status() {
  const status = useResource("status", (signal) => getStatus({ signal }));
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState === "visible" && !status.isLoading.peek()) void status.load();
    }, AGAIN_MS);
    return () => clearInterval(timer);
  }, [status]);
  const found = status.data.value;
  const error = status.error.value;
  return (
    <main>
      <PageHeader crumbs={[{ label: "Status" }]} />
      {error && (
        <Failure what="The status could not be read" error={error} onRetry={() => void status.load()} />
      )}
      {!found && !error && <Skeleton />}
      {found && <StatusCards status={found} />}
    </main>
  );
}

async function leave(): Promise<void> {
  try {
    await logOut();
    isSignedOut.value = true;
  } catch (failure) {
    say(`Logging out failed: ${(failure as Error).message}`, "bad");
  }
}

function StatusCards({ status }: { status: HubStatus }) {
  return (
    <div class="overview">
      <div class="column">
        <section class="card" aria-label="Hub">
          <header class="card-head">
            <h2>Hub</h2>
            <button type="button" class="small" title="End this browser's session" onClick={() => void leave()}>
              Log out
            </button>
          </header>
          <dl class="facts">
            {Object.entries(status.hub).map(([name, value]) => (
              <div key={name}>
                <dt>{name.replaceAll("_", " ")}</dt>
                <dd title={formatValue(value)}>{factText(name, value)}</dd>
              </div>
            ))}
          </dl>
        </section>
        <StoreCard store={status.store} />
      </div>
      {status.daemon === null ? (
        <Notice title="No daemon answers">
          <p>The hub runs without a daemon, or its daemon has ended. On the daemon's machine, run <code>stepwell status</code></p>
        </Notice>
      ) : (
        <div class="column">
          <Problems problems={status.daemon["problems"]} />
          <DaemonWriters writers={status.daemon["writers"]} />
          <ValueTree
            title="Daemon"
            isRounded
            root={withoutWriters(status.daemon)}
            textOf={daemonText}
            empty="The daemon's status is empty."
          />
        </div>
      )}
    </div>
  );
}

function withoutWriters({ writers: _, ...rest }: ValueMap): ValueMap {
  return rest;
}

/** What the daemon says is wrong with it. */
function Problems({ problems }: { problems: Value | undefined }) {
  if (!Array.isArray(problems) || problems.length === 0) return null;
  return (
    <section class="card warning" aria-label="Problems">
      <header class="card-head">
        <h2>Problems</h2>
      </header>
      <ul class="gaps">
        {problems.map((problem: Value, at) => (
          <li key={at}>{formatValue(problem)}</li>
        ))}
      </ul>
    </section>
  );
}

function StoreCard({ store }: { store: HubStatus["store"] }) {
  const bytes = store.tables.reduce((sum, table) => sum + table.bytes, 0);
  return (
    <section class="card" aria-label="Store">
      <header class="card-head">
        <h2>Store</h2>
        <span class="fact">{formatBytes(bytes)}</span>
      </header>
      {store.problem && <p class="filter-error" role="alert">{store.problem}</p>}
      <table class="rows dense">
        <thead>
          <tr>
            <th scope="col">Table</th>
            <th scope="col" class="number">Rows</th>
            <th scope="col" class="number">On disk</th>
          </tr>
        </thead>
        <tbody>
          {store.tables.map((each) => (
            <tr key={each.table}>
              <th scope="row" class="mono">{each.table}</th>
              <td class="number">{formatCount(each.rows)}</td>
              <td class="number">{formatBytes(each.bytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function factText(name: string, value: Value): string {
  if (name.endsWith("_at") && typeof value === "number") {
    return `${formatMoment(value)}, ${formatDuration(now.value - value)} ago`;
  }
  return formatValue(value);
}
