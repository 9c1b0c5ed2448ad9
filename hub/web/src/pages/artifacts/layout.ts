/** Where the nodes of a lineage are drawn: in layers from left to right, with few crossings. Pure. */
import { Graph, layout } from "@dagrejs/dagre";

import type { Lineage } from "../../api/artifacts.js";
import type { Point } from "./graph.js";

export const NODE_WIDTH = 184;
export const NODE_HEIGHT = 40;
const MARGIN = 16;

export interface Placed {
  readonly width: number;
  readonly height: number;
  /** The middle of each node. */
  readonly nodes: ReadonlyMap<string, Point>;
  /** The points of each edge, in the order of the lineage's edges. */
  readonly lines: readonly (readonly Point[])[];
}

export function placed({ nodes, edges }: Lineage): Placed {
  const graph = new Graph({ multigraph: true });
  graph.setGraph({ rankdir: "LR", nodesep: 10, edgesep: 6, ranksep: 56, marginx: MARGIN, marginy: MARGIN });
  for (const { id } of nodes) graph.setNode(id, { width: NODE_WIDTH, height: NODE_HEIGHT });
  edges.forEach(({ source, target }, at) => graph.setEdge(source, target, {}, String(at)));
  layout(graph);
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  const places = new Map(nodes.map(({ id }) => [id, pointOf(graph.node(id))]));
  return {
    width,
    height,
    nodes: places,
    lines: edges.map(({ source, target }, at) => {
      const [from, to] = [places.get(source), places.get(target)];
      const points = pointsOf(graph.edge(source, target, String(at)));
      return from && to ? fromSideToSide(from, to, points) : points;
    }),
  };
}

/** The zoom, 1 at most, with which a layout fits an area of CSS pixels. */
export function fitScale({ width, height }: Pick<Placed, "width" | "height">, areaWidth: number, areaHeight: number): number {
  return Math.min(areaWidth / width, areaHeight / height, 1);
}

/** A line leaves a node in the middle of its side, and so arrives; in between it goes as it was laid. */
function fromSideToSide(from: Point, to: Point, points: readonly Point[]): Point[] {
  const side = (from.x <= to.x ? NODE_WIDTH : -NODE_WIDTH) / 2;
  // Between neighbouring layers the one point in the middle is not needed.
  const between = points.length > 3 ? points.slice(1, -1) : [];
  return [{ x: from.x + side, y: from.y }, ...between, { x: to.x - side, y: to.y }];
}

function pointOf({ x, y }: { x?: number; y?: number }): Point {
  return { x: x ?? 0, y: y ?? 0 };
}

function pointsOf({ points }: { points?: readonly { x: number; y: number }[] }): Point[] {
  return (points ?? []).map(pointOf);
}
