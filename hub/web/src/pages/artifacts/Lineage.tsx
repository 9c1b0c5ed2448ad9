/** The runs and versions that a version came from and went into, as a graph or as a list. */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { getLineage, type Lineage } from "../../api/artifacts.js";
import { formatAmount } from "../../parts/format.js";
import { Failure, Notice } from "../../parts/Notice.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { viewState } from "../../state/navigation.js";
import { flag, oneOf } from "../../state/query.js";
import { makeResource } from "../../state/resource.js";
import { LineageGraph } from "./LineageGraph.js";
import { LineageList } from "./LineageList.js";
import type { VersionTabProps } from "./versionTab.js";

/** `all`: also what else came of the same runs and versions. */
const FIELDS = { all: flag(), as: oneOf(["graph", "list"], "graph") };
const NODES_STEP = 300;
/** The hub gives no more at once. */
const NODES_MAX = 1000;
const DEPTH = 20;

export function LineageTab({ address, version }: VersionTabProps) {
  const view = useMemo(() => viewState(FIELDS), []);
  const { all, as } = view.values.value;
  const limit = useSignal(NODES_STEP);
  const resource = useMemo(
    () => makeResource<Lineage>(() => Promise.reject(new Error("not loaded yet"))),
    [version.id],
  );
  useEffect(() => {
    void resource.load((signal) => getLineage(address, { depth: DEPTH, limit: limit.value, direct: !all }, { signal }));
  }, [resource, all, limit.value]);
  useEffect(() => resource.abort, [resource]);
  const lineage = resource.data.value;
  const error = resource.error.value;
  if (!lineage) {
    if (error) return <Failure what="The lineage could not be read" error={error} onRetry={() => void resource.load()} />;
    return <Skeleton rows={8} />;
  }
  const start = `version:${version.id}`;
  const nodes = formatAmount(lineage.nodes.length, "node");
  const canGrow = lineage.is_cut && limit.value < NODES_MAX;
  return (
    <section aria-label="Lineage" class="lineage">
      <div class="tools">
        <span role="group" aria-label="Shown as" class="choice">
          <button type="button" aria-pressed={as === "graph"} onClick={() => view.change({ as: "graph" })}>Graph</button>
          <button type="button" aria-pressed={as === "list"} onClick={() => view.change({ as: "list" })}>List</button>
        </span>
        <button
          type="button"
          aria-pressed={all}
          title="Also other descendants of the same runs and versions"
          onClick={() => view.change({ all: !all })}
        >
          All around
        </button>
        <span class="fact" role="status">{lineage.is_cut ? `The nearest ${nodes}` : nodes}</span>
        {canGrow && (
          <button
            type="button"
            disabled={resource.isLoading.value}
            onClick={() => (limit.value = Math.min(NODES_MAX, limit.value + NODES_STEP))}
          >
            Show more
          </button>
        )}
      </div>
      {error && <p class="filter-error" role="alert">{`More could not be read: ${error.message}`}</p>}
      {lineage.edges.length === 0 ? (
        <Notice title="No run logged or used this version">
          <p>Runs that call use_artifact or log_artifact appear here.</p>
        </Notice>
      ) : as === "list" ? (
        <LineageList lineage={lineage} start={start} />
      ) : (
        <LineageGraph lineage={lineage} start={start} />
      )}
    </section>
  );
}
