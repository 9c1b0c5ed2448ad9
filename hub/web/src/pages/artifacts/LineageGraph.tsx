/**
 * A lineage drawn in layers: runs rounded, versions square. The ancestors and descendants of
 * the node under the pointer, or with the focus, are highlighted.
 */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";

import type { Lineage, LineageNode } from "../../api/artifacts.js";
import { linePath, pathThrough } from "./graph.js";
import { fitScale, NODE_HEIGHT, NODE_WIDTH, placed } from "./layout.js";
import { nodeFacts, nodeHref, nodeTitle } from "./nodes.js";

const ZOOM_FACTOR = 1.25;
const ZOOM_MIN = 0.2;
const ZOOM_MAX = 2;
/** A graph opens whole where its nodes are still this large; else around the version. */
const OPEN_ZOOM_MIN = 0.5;

export function LineageGraph({ lineage, start }: { lineage: Lineage; start: string }) {
  const area = useRef<HTMLDivElement>(null);
  const zoom = useSignal(1);
  const focused = useSignal<string | null>(null);
  const layout = useMemo(() => placed(lineage), [lineage]);
  const path = useMemo(
    () => (focused.value === null ? null : pathThrough(lineage.edges, focused.value)),
    [lineage, focused.value],
  );
  const here = lineage.nodes.find(({ id }) => id === start)?.project ?? "";
  // By the keyboard one goes as one reads: layer by layer, from the top down.
  const ordered = useMemo(() => [...lineage.nodes].sort(byPlace(layout.nodes)), [lineage, layout]);
  useEffect(() => {
    const element = area.current;
    const at = layout.nodes.get(start);
    if (!element || !at) return;
    const whole = fitScale(layout, element.clientWidth, element.clientHeight);
    if (whole >= OPEN_ZOOM_MIN) {
      zoom.value = whole;
      return;
    }
    element.scrollTo(at.x * zoom.peek() - element.clientWidth / 2, at.y * zoom.peek() - element.clientHeight / 2);
  }, [layout, start]);
  const change = (factor: number) => (zoom.value = Math.min(ZOOM_MAX, Math.max(ZOOM_MIN, zoom.value * factor)));
  const fit = () => {
    const box = area.current;
    if (box === null) return;
    zoom.value = Math.max(ZOOM_MIN, fitScale(layout, box.clientWidth, box.clientHeight));
  };
  const scale = zoom.value;
  return (
    <div class="graph">
      <div class="graph-zoom" role="group" aria-label="Zoom">
        <button type="button" class="small" aria-label="Zoom out" onClick={() => change(1 / ZOOM_FACTOR)}>−</button>
        <button type="button" class="small" aria-label="Zoom in" onClick={() => change(ZOOM_FACTOR)}>+</button>
        <button type="button" class="small" onClick={fit}>Fit</button>
      </div>
      <div ref={area} class="graph-area" tabIndex={0} role="group" aria-label="Graph of runs and versions; the list has the same content">
        <div style={{ width: `${layout.width * scale}px`, height: `${layout.height * scale}px` }}>
          <div
            class={`graph-plane ${path === null ? "" : "dimmed"}`}
            style={{ width: `${layout.width}px`, height: `${layout.height}px`, transform: `scale(${scale})` }}
            onPointerLeave={() => (focused.value = null)}
          >
            <svg width={layout.width} height={layout.height} aria-hidden="true">
              {lineage.edges.map(({ source, target, kind }, at) => (
                <path
                  key={`${source} ${target}`}
                  class={`${kind} ${path?.has(source) && path.has(target) ? "on-path" : ""}`}
                  d={linePath(layout.lines[at] ?? [])}
                />
              ))}
            </svg>
            {ordered.map((node) => (
              <Node
                key={node.id}
                node={node}
                here={here}
                at={layout.nodes.get(node.id) ?? { x: 0, y: 0 }}
                isStart={node.id === start}
                isOnPath={path?.has(node.id) ?? false}
                onFocus={(isOn) => (focused.value = isOn ? node.id : null)}
              />
            ))}
          </div>
        </div>
      </div>
    </div>
  );
}

interface NodeProps {
  node: LineageNode;
  here: string;
  at: { x: number; y: number };
  isStart: boolean;
  isOnPath: boolean;
  onFocus(isOn: boolean): void;
}

function Node({ node, here, at, isStart, isOnPath, onFocus }: NodeProps) {
  const title = nodeTitle(node, here);
  const href = nodeHref(node);
  return (
    <a
      class={`graph-node ${node.kind} ${isOnPath ? "on-path" : ""} ${node.is_deleted ? "gone" : ""}`}
      {...(href === undefined ? {} : { href })}
      title={`${title} (${nodeFacts(node)})`}
      aria-current={isStart ? "true" : undefined}
      style={{ left: `${at.x - NODE_WIDTH / 2}px`, top: `${at.y - NODE_HEIGHT / 2}px` }}
      onPointerEnter={() => onFocus(true)}
      onFocus={() => onFocus(true)}
      onBlur={() => onFocus(false)}
    >
      <span class="graph-title">{title}</span>
      <span class="graph-facts">{nodeFacts(node)}</span>
    </a>
  );
}

function byPlace(places: ReadonlyMap<string, { x: number; y: number }>) {
  return (a: LineageNode, b: LineageNode) => {
    const [p, q] = [places.get(a.id), places.get(b.id)];
    return p && q ? p.x - q.x || p.y - q.y : 0;
  };
}
