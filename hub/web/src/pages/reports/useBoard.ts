/** A board of charts for one panel of a report: its view is the panel's, not the address's. */
import { signal } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";

import type { RunOverview } from "../../api/types.js";
import { localView } from "../../state/localView.js";
import { makeBoard, type Board } from "../charts/board.js";
import { CHARTS_FIELDS, type ChartsValues } from "../charts/view.js";

/** Pixels of a panel beside its plot, and the part of the window that a full panel takes. */
const PLOT_MARGIN = 48;
const FULL_SHARE = 0.93;

interface BoardPlace {
  board: Board;
  root: { current: HTMLDivElement | null };
}

/** `first` holds for the first drawing; the reader may change the view from there. */
export function useBoard(
  project: string,
  runs: readonly RunOverview[] | null,
  first: Partial<ChartsValues>,
  onRuns: () => void,
): BoardPlace {
  const root = useRef<HTMLDivElement>(null);
  const reload = useRef(onRuns);
  reload.current = onRuns;
  const { board, drawn, areKnown } = useMemo(() => {
    const drawn = signal<readonly RunOverview[]>([]);
    const areKnown = signal(false);
    const board = makeBoard({
      project,
      view: localView(CHARTS_FIELDS, first),
      namesX: true,
      runs: drawn,
      areRunsKnown: areKnown,
      highlighted: signal(null),
      onRuns: (isFirst) => isFirst || reload.current(),
      onRun: () => reload.current(),
    });
    return { board, drawn, areKnown };
  }, [project, JSON.stringify(first)]);
  useEffect(() => board.close, [board]);
  useLayoutEffect(() => {
    if (runs === null) return;
    drawn.value = runs;
    areKnown.value = true;
  }, [board, runs]);
  useLayoutEffect(() => {
    const element = root.current!;
    const size = () => {
      const plot = element.querySelector(".panel") ?? element;
      const ratio = devicePixelRatio || 1;
      board.plotPixels.value = Math.max(128, (plot.clientWidth - PLOT_MARGIN) * ratio);
      board.fullPixels.value = (innerWidth * FULL_SHARE - PLOT_MARGIN) * ratio;
    };
    size();
    const observer = new ResizeObserver(size);
    observer.observe(element);
    return () => observer.disconnect();
  }, [board]);
  return { board, root };
}
