/** The graph of a lineage: ancestors and descendants of a node, and how lines are drawn. Pure. */
import type { Lineage, LineageEdge } from "../../api/artifacts.js";

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** The node, all that leads to it, and all that comes of it. */
export function pathThrough(edges: readonly LineageEdge[], id: string): ReadonlySet<string> {
  const found = new Set([id]);
  for (const isForward of [true, false]) {
    const next = new Map<string, string[]>();
    for (const { source, target } of edges) {
      const [from, to] = isForward ? [source, target] : [target, source];
      next.set(from, [...(next.get(from) ?? []), to]);
    }
    const seen = new Set([id]);
    for (const at of seen) for (const to of next.get(at) ?? []) seen.add(to);
    for (const each of seen) found.add(each);
  }
  return found;
}

/** Each node's neighbours before and after it, in the order of the edges. */
export function neighbours({ nodes, edges }: Lineage): ReadonlyMap<string, { before: string[]; after: string[] }> {
  const found = new Map(nodes.map(({ id }) => [id, { before: [] as string[], after: [] as string[] }]));
  for (const { source, target } of edges) {
    found.get(target)?.before.push(source);
    found.get(source)?.after.push(target);
  }
  return found;
}

/** A smooth line from left to right through points, as the `d` of a path. */
export function linePath(points: readonly Point[]): string {
  const [first, ...rest] = points;
  if (first === undefined) return "";
  let path = `M${first.x} ${first.y}`;
  let from = first;
  for (const to of rest) {
    const middle = (from.x + to.x) / 2;
    path += `C${middle} ${from.y} ${middle} ${to.y} ${to.x} ${to.y}`;
    from = to;
  }
  return path;
}
