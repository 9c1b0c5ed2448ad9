/** The area of a table's chart: an SVG as large as it has room, and the values at the pointer. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useMemo, useRef } from "preact/hooks";

import { useSize, type Size } from "../../parts/useSize.js";

/** The place of a mark, by its number, and the text of its tip. */
export interface Marks {
  nearest(x: number, y: number): number | null;
  at(mark: number): { readonly x: number; readonly y: number; readonly words: readonly string[] };
  /** The mark to go to with an arrow key, Home or End; null where there is none. */
  move(mark: number | null, key: string): number | null;
}

export interface Drawing {
  /** Of the SVG; it may be larger than its area. */
  readonly width: number;
  readonly height: number;
  readonly marks: Marks;
  /** The same for each mark: a move of the pointer does not draw it anew. */
  readonly content: ComponentChildren;
  /** What is drawn over it for a mark. */
  overlay(mark: number): ComponentChildren;
}

interface ChartAreaProps {
  label: string;
  /** True: a picture alone, for the button around it. */
  isSmall: boolean;
  draw(size: Size): Drawing;
  /** True: as high as its drawing, not as its place. */
  isGrowing?: boolean;
}

const KEYS: ReadonlySet<string> = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"]);
const TIP_WIDTH = 240;

export function ChartArea({ label, isSmall, draw, isGrowing = false }: ChartAreaProps) {
  const area = useRef<HTMLDivElement>(null);
  const svg = useRef<SVGSVGElement>(null);
  const size = useSize(area).value;
  const active = useSignal<{ mark: number; isKeyboard: boolean } | null>(null);
  const isReady = size.width > 0 && (isGrowing || size.height > 0);
  const drawing = useMemo(() => (isReady ? draw(size) : null), [draw, isReady, size.width, size.height]);
  const now = active.value;
  const shown = drawing === null || now === null ? null : drawing.marks.at(now.mark);
  const point = (event: PointerEvent) => {
    if (drawing === null || svg.current === null) return;
    const box = svg.current.getBoundingClientRect();
    const mark = drawing.marks.nearest(event.clientX - box.left, event.clientY - box.top);
    active.value = mark === null ? null : { mark, isKeyboard: false };
  };
  const press = (event: KeyboardEvent) => {
    if (drawing === null || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && active.peek() !== null) active.value = null;
    else if (KEYS.has(event.key)) {
      const mark = drawing.marks.move(active.peek()?.mark ?? null, event.key);
      if (mark !== null) active.value = { mark, isKeyboard: true };
    } else return;
    event.preventDefault();
    event.stopPropagation(); // The large view turns its items with arrow keys.
  };
  const content = drawing && (
    <svg ref={svg} width={drawing.width} height={drawing.height} aria-hidden="true">
      <g class={now === null ? "" : "faded"}>{drawing.content}</g>
      {now !== null && drawing.overlay(now.mark)}
    </svg>
  );
  if (isSmall) return <div ref={area} class="tablechart-area small">{content}</div>;
  return (
    <div
      ref={area}
      class={`tablechart-area ${isGrowing ? "growing" : ""}`}
      role="group"
      aria-roledescription="chart"
      aria-label={label}
      tabIndex={0}
      onPointerDown={point}
      onPointerMove={point}
      onPointerLeave={(event) => event.pointerType !== "touch" && (active.value = null)}
      onKeyDown={press}
      onBlur={() => (active.value = null)}
    >
      {content}
      {shown !== null && drawing !== null && (
        <div class="tablechart-tip" aria-hidden="true" style={tipPlace(shown, drawing)}>
          {shown.words.map((word, at) => <p key={at}>{word}</p>)}
        </div>
      )}
      <p class="off-screen" aria-live="polite">
        {now?.isKeyboard ? (shown?.words.join(", ") ?? "") : ""}
      </p>
    </div>
  );
}

/** Beside the mark, on the side with more room; never beyond the drawing. */
function tipPlace({ x, y }: { x: number; y: number }, { width, height }: Drawing): Record<string, string> {
  const top = `${Math.max(4, Math.min(y - 12, height - 72))}px`;
  const maxWidth = `${Math.min(TIP_WIDTH, Math.max(x, width - x) - 16)}px`;
  if (x < width / 2) return { left: `${x + 12}px`, top, maxWidth };
  return { left: `${x - 12}px`, top, maxWidth, transform: "translateX(-100%)" };
}
