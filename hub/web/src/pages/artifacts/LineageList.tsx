/** A lineage as a table: each run and version, with its direct neighbours before and after. */
import { useMemo } from "preact/hooks";

import type { Lineage, LineageNode } from "../../api/artifacts.js";
import { neighbours } from "./graph.js";
import { nodeFacts, nodeHref, nodeTitle } from "./nodes.js";

const NAMED_MAX = 12;

export function LineageList({ lineage, start }: { lineage: Lineage; start: string }) {
  const near = useMemo(() => neighbours(lineage), [lineage]);
  const byId = useMemo(() => new Map(lineage.nodes.map((node) => [node.id, node])), [lineage]);
  const here = byId.get(start)?.project ?? "";
  const named = (ids: readonly string[]) => {
    const nodes = ids.flatMap((id) => byId.get(id) ?? []);
    return (
      <>
        {nodes.slice(0, NAMED_MAX).map((node, at) => (
          <span key={node.id}>{at > 0 && ", "}<NodeLink node={node} here={here} /></span>
        ))}
        {nodes.length > NAMED_MAX && ` and ${nodes.length - NAMED_MAX} more`}
      </>
    );
  };
  return (
    <div class="scroll-x" tabIndex={0} role="group" aria-label="Table of runs and versions">
      <table class="rows lineage-list">
        <thead>
          <tr>
            <th scope="col">Run or version</th>
            <th scope="col">What it is</th>
            <th scope="col">Comes from</th>
            <th scope="col">Goes into</th>
          </tr>
        </thead>
        <tbody>
          {lineage.nodes.map((node) => (
            <tr key={node.id} aria-current={node.id === start ? "true" : undefined}>
              <th scope="row"><NodeLink node={node} here={here} /></th>
              <td>{nodeFacts(node)}</td>
              <td>{named(near.get(node.id)?.before ?? [])}</td>
              <td>{named(near.get(node.id)?.after ?? [])}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function NodeLink({ node, here }: { node: LineageNode; here: string }) {
  const href = nodeHref(node);
  const title = nodeTitle(node, here);
  return href === undefined ? <>{title}</> : <a href={href}>{title}</a>;
}
