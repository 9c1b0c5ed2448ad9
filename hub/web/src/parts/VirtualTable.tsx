/**
 * A table of any length: only the rows that can be seen are in the document.
 *
 * Rows have one height, the token --row. The scrolling element is the table's own, with a header
 * that stays. Spacer rows stand for what is above and below.
 */
import { useSignal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

import { dragX } from "./drag.js";
import { rowWindow } from "./rowWindow.js";

export interface TableColumn {
  key: string;
  /** CSS pixels; without a width the column takes what is left. */
  width?: number;
  header: ComponentChildren;
  className?: string;
  sort?: "ascending" | "descending" | undefined;
  /** With it the column's right edge can be dragged. */
  onWidth?(pixels: number): void;
}

interface VirtualTableProps {
  label: string;
  columns: readonly TableColumn[];
  count: number;
  renderRow(index: number): JSX.Element;
  /** Called with one past the last row that can be seen. */
  onNeed?(count: number): void;
  /** Called with the first row that can be seen, and one past the last. */
  onSee?(first: number, last: number): void;
  className?: string;
}

export function VirtualTable({ label, columns, count, renderRow, onNeed, onSee, className = "" }: VirtualTableProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const top = useSignal(0);
  const height = useSignal(900);
  const rowHeight = useSignal(28);
  const isScrolledAside = useSignal(false);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const measure = () => {
      height.value = element.clientHeight;
      rowHeight.value = parseFloat(getComputedStyle(element).getPropertyValue("--row")) || 28;
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const window = rowWindow({ top: top.value, height: height.value, rowHeight: rowHeight.value, count });
  useLayoutEffect(() => {
    onNeed?.(window.last);
    onSee?.(window.first, window.last);
  });

  const fixedWidth = columns.every((column) => column.width !== undefined)
    ? columns.reduce((sum, column) => sum + (column.width as number), 0)
    : undefined;
  const rows = [];
  for (let index = window.first; index < window.last; index++) rows.push(renderRow(index));
  return (
    <div
      ref={scroller}
      class={`virtual ${className} ${isScrolledAside.value ? "scrolled-aside" : ""}`}
      onScroll={(event) => {
        top.value = event.currentTarget.scrollTop;
        isScrolledAside.value = event.currentTarget.scrollLeft > 0;
      }}
    >
      <table aria-label={label} aria-rowcount={count + 1} style={fixedWidth ? { width: `${fixedWidth}px` } : {}}>
        <colgroup>
          {columns.map(({ key, width }) => (
            <col key={key} style={width === undefined ? {} : { width: `${width}px` }} />
          ))}
        </colgroup>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.key} scope="col" class={column.className} aria-sort={column.sort}>
                {column.header}
                {column.onWidth && <ColumnEdge onWidth={column.onWidth} />}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          <Spacer height={window.first * rowHeight.value} columns={columns.length} />
          {rows}
          <Spacer height={(count - window.last) * rowHeight.value} columns={columns.length} />
        </tbody>
      </table>
    </div>
  );
}

/** For pointers only: users of screen readers need no width. */
function ColumnEdge({ onWidth }: { onWidth(pixels: number): void }) {
  const start = (event: PointerEvent) => {
    const before = (event.currentTarget as HTMLElement).closest("th")?.offsetWidth ?? 0;
    dragX(event, (by) => onWidth(before + by));
  };
  return <span class="column-edge" aria-hidden="true" onPointerDown={start} />;
}

function Spacer({ height, columns }: { height: number; columns: number }) {
  if (height <= 0) return null;
  return (
    <tr class="spacer" aria-hidden="true">
      <td colSpan={columns} style={{ height: `${height}px` }} />
    </tr>
  );
}
