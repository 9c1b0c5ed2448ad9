/**
 * The panels of a board, in sections. Only parts near the screen exist: panels within one
 * screen, canvases within less, and the sections in between.
 */
import { useSignal } from "@preact/signals";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";

import { Failure, Notice } from "../../parts/Notice.js";
import type { Board } from "./board.js";
import { Dialog } from "../../parts/Dialog.js";
import { HistogramPanel } from "./HistogramPanel.js";
import { NAMES_MAX } from "./metricNames.js";
import { Panel } from "./Panel.js";
import {
  columnsFor,
  foldKey,
  metricsWithin,
  placeSections,
  sectionsOf,
  type Grid,
  type PlacedSection,
} from "./sections.js";

const GAP = 10;
const PANEL_HEIGHT = 228;
const HEAD_HEIGHT = 36;
/** Screens above and below the visible one that have panels, and that have canvases. */
const PANELS_WITHIN = 1;
const CHARTS_WITHIN = 0.25;
/** Pixels of a panel beside its plot, and the part of the window that a full panel takes. */
const PLOT_MARGIN = 48;
const FULL_SHARE = 0.93;

interface Window {
  width: number;
  top: number;
  height: number;
}

export function BoardView({ board }: { board: Board }) {
  const names = board.names.names.value;
  const { error } = board.names;
  const { w, fold, m, full } = board.values.value;
  const root = useRef<HTMLDivElement>(null);
  const view = useWindow(root, (width) => sizePlots(board, width));
  const sections = useMemo(() => sectionsOf(names ?? []), [names]);
  const { width, top, height } = view.value;
  const grid: Grid = {
    columns: columnsFor(width, w, GAP),
    panelHeight: PANEL_HEIGHT,
    gap: GAP,
    headHeight: HEAD_HEIGHT,
  };
  // Before the panels ask: they need the size of their plots.
  useMemo(() => sizePlots(board, width), [board, grid.columns]);
  const { placed, height: whole } = useMemo(
    () => placeSections(sections, new Set(fold), grid),
    [sections, fold, grid.columns],
  );
  const near = placed.filter(
    (place) =>
      place.top + place.height > top - PANELS_WITHIN * height &&
      place.top < top + (1 + PANELS_WITHIN) * height,
  );
  const toggle = (name: string) => {
    const key = foldKey(name);
    const isFolded = fold.includes(key);
    board.change({ fold: isFolded ? fold.filter((one) => one !== key) : [...fold, key] });
  };
  return (
    <div
      ref={root}
      class="board"
      style={{ height: `${Math.ceil(whole)}px` }}
      data-panels={names?.length ?? 0}
    >
      {error.value !== null && names === null && (
        <Failure
          what="The metrics could not be read"
          error={error.value}
          onRetry={board.names.refresh}
        />
      )}
      {names?.length === 0 && (
        <Notice title={m === "" ? "No metric yet" : "No metric matches the search"}>
          {m === "" ? (
            <p>
              {board.runs.value.length === 0
                ? "No run is drawn. Choose runs in the list."
                : "Panels appear here with the first number or histogram. Tables, charts, pictures and other media are under Media."}
            </p>
          ) : (
            <button type="button" onClick={() => board.change({ m: "" })}>
              Clear the search
            </button>
          )}
        </Notice>
      )}
      {width > 0 &&
        near.map((place) => (
          <SectionView
            key={place.section.name}
            board={board}
            place={place}
            grid={grid}
            view={view.value}
            onToggle={toggle}
          />
        ))}
      {board.names.isCut.value && (
        <p class="fact board-cut">{`The first ${NAMES_MAX} metrics are shown. Search to narrow them.`}</p>
      )}
      {full !== "" && (
        <Dialog title={full} className="full-panel" onClose={() => board.change({ full: "" })}>
          <AnyPanel board={board} metric={full} isVisible hasChart isFull />
        </Dialog>
      )}
    </div>
  );
}

interface AnyPanelProps {
  board: Board;
  metric: string;
  isVisible: boolean;
  hasChart: boolean;
  isFull?: boolean;
}

export function AnyPanel(props: AnyPanelProps) {
  const { board, metric, hasChart, isFull = false } = props;
  if (!board.names.histograms.value.has(metric)) return <Panel {...props} />;
  return <HistogramPanel board={board} metric={metric} hasChart={hasChart} isFull={isFull} />;
}

function sizePlots(board: Board, width: number): void {
  if (width === 0) return;
  const ratio = devicePixelRatio || 1;
  const columns = columnsFor(width, board.values.peek().w, GAP);
  board.plotPixels.value = ((width - GAP * (columns - 1)) / columns - PLOT_MARGIN) * ratio;
  board.fullPixels.value = (innerWidth * FULL_SHARE - PLOT_MARGIN) * ratio;
}

interface SectionViewProps {
  board: Board;
  place: PlacedSection;
  grid: Grid;
  view: Window;
  onToggle(name: string): void;
}

function SectionView({ board, place, grid, view, onToggle }: SectionViewProps) {
  const { section, isFolded } = place;
  const { columns, panelHeight, gap, headHeight } = grid;
  const reach = PANELS_WITHIN * view.height;
  const [from, to] = metricsWithin(place, grid, view.top - reach, view.top + view.height + reach);
  const [visibleFrom, visibleTo] = metricsWithin(place, grid, view.top, view.top + view.height);
  const near = CHARTS_WITHIN * view.height;
  const [chartFrom, chartTo] = metricsWithin(
    place,
    grid,
    view.top - near,
    view.top + view.height + near,
  );
  const panelWidth = (view.width - gap * (columns - 1)) / columns;
  return (
    <section
      class="section-of-panels"
      style={{ top: `${place.top}px`, height: `${place.height}px` }}
    >
      <h2 class="section-head">
        <button
          type="button"
          class="quiet"
          aria-expanded={!isFolded}
          onClick={() => onToggle(section.name)}
        >
          <span class="fold-mark" aria-hidden="true">
            {isFolded ? "▸" : "▾"}
          </span>
          {section.name === "" ? "metrics" : section.name}
          <span class="section-count">{section.metrics.length}</span>
        </button>
      </h2>
      {section.metrics.slice(from, to).map((metric, i) => {
        const at = from + i;
        return (
          <div
            key={metric}
            class="panel-place"
            style={{
              top: `${headHeight + Math.floor(at / columns) * (panelHeight + gap)}px`,
              left: `${(at % columns) * (panelWidth + gap)}px`,
              width: `${panelWidth}px`,
              height: `${panelHeight}px`,
            }}
          >
            <AnyPanel
              board={board}
              metric={metric}
              isVisible={at >= visibleFrom && at < visibleTo}
              hasChart={at >= chartFrom && at < chartTo}
            />
          </div>
        );
      })}
    </section>
  );
}

/** The part of the board that the browser's window shows, in pixels of the board. */
function useWindow(root: { current: HTMLDivElement | null }, onWidth: (width: number) => void) {
  const view = useSignal<Window>({ width: 0, top: 0, height: 0 });
  const frame = useRef(0);
  useLayoutEffect(() => {
    const element = root.current!;
    const measure = () => {
      frame.current = 0;
      const box = element.getBoundingClientRect();
      const next = { width: element.clientWidth, top: -box.top, height: innerHeight };
      const now = view.peek();
      // Steps of 40 pixels: a scroll of one pixel does not make the sections anew.
      const moved =
        Math.abs(now.top - next.top) >= 40 ||
        now.width !== next.width ||
        now.height !== next.height;
      if (now.width !== next.width) onWidth(next.width);
      if (moved) view.value = next;
    };
    const soon = () => {
      if (frame.current === 0) frame.current = requestAnimationFrame(measure);
    };
    measure();
    const observer = new ResizeObserver(soon);
    observer.observe(element);
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon);
    return () => {
      observer.disconnect();
      removeEventListener("scroll", soon);
      removeEventListener("resize", soon);
      cancelAnimationFrame(frame.current);
    };
  }, []);
  return view;
}
