/** The cells of the wall, drawn near the screen only: rows and columns have fixed sizes. */
import { useComputed, useSignal, type Signal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

import type { MediaKey, RunOverview } from "../../api/types.js";
import { rowWindow } from "../../parts/rowWindow.js";
import { runColor } from "../../state/palette.js";
import { pathOf } from "../../state/routes.js";
import { theme } from "../../state/theme.js";
import type { MediaBoard } from "./board.js";
import { kindOf } from "./kinds.js";
import type { ValueProps } from "./valueProps.js";

const HEAD_HEIGHT = 32;
const ROW_HEIGHT = 236;
const COLUMN_WIDTH = 200;
const COLUMN_WIDTH_NARROW = 150;
const NARROW = 640;

interface WallGridProps {
  project: string;
  runs: readonly RunOverview[];
  keys: readonly MediaKey[];
  board: MediaBoard;
  highlighted: Signal<string | null>;
  onOpen: ValueProps["onOpen"];
}

export function WallGrid({ project, runs, keys, board, highlighted, onOpen }: WallGridProps) {
  const area = useRef<HTMLDivElement>(null);
  const box = useSignal({ top: 0, left: 0, width: innerWidth, height: innerHeight });
  const measure = () => {
    const element = area.current;
    if (element === null) return;
    const { scrollTop: top, scrollLeft: left, clientWidth: width, clientHeight: height } = element;
    box.value = { top, left, width, height };
  };
  useLayoutEffect(() => {
    measure();
    const watching = new ResizeObserver(measure);
    watching.observe(area.current!);
    return () => watching.disconnect();
  }, []);
  const columnWidth = innerWidth <= NARROW ? COLUMN_WIDTH_NARROW : COLUMN_WIDTH;
  const { top, left, width, height } = box.value;
  const rows = rowWindow({ top, height, rowHeight: ROW_HEIGHT, count: keys.length });
  const columns = rowWindow({ top: left, height: width, rowHeight: columnWidth, count: runs.length });
  const nearKeys = keys.slice(rows.first, rows.last);
  const nearRuns = runs.slice(columns.first, columns.last);
  useEffect(() => {
    board.want({
      metrics: nearKeys.map(({ metric }) => metric),
      runs: nearRuns.map(({ run_id }) => run_id),
    });
  });
  const columnAt = (at: number) => ({
    left: `${(columns.first + at) * columnWidth}px`,
    width: `${columnWidth}px`,
  });
  return (
    <div ref={area} class="wall" tabIndex={0} role="region" aria-label="Media of the runs" onScroll={measure}>
      <div
        class="wall-space"
        style={{ width: `${runs.length * columnWidth}px`, height: `${HEAD_HEIGHT + keys.length * ROW_HEIGHT}px` }}
      >
        <div class="wall-head" style={{ height: `${HEAD_HEIGHT}px` }}>
          {nearRuns.map((run, at) => (
            <RunHead key={run.run_id} run={run} style={columnAt(at)} highlighted={highlighted} />
          ))}
        </div>
        {nearKeys.map(({ metric }, at) => (
          <section
            key={metric}
            class="wall-row"
            aria-label={metric}
            data-metric={metric}
            style={{ top: `${HEAD_HEIGHT + (rows.first + at) * ROW_HEIGHT}px`, height: `${ROW_HEIGHT}px` }}
          >
            <h2 class="mono" title={metric}>{metric}</h2>
            {nearRuns.map((run, column) => (
              <Cell
                key={run.run_id}
                project={project}
                metric={metric}
                run={run}
                board={board}
                style={columnAt(column)}
                onOpen={onOpen}
              />
            ))}
          </section>
        ))}
      </div>
    </div>
  );
}

interface RunHeadProps {
  run: RunOverview;
  style: Record<string, string>;
  highlighted: Signal<string | null>;
}

function RunHead({ run, style, highlighted }: RunHeadProps) {
  const isHighlighted = useComputed(() => highlighted.value === run.run_id).value;
  const name = run.name || run.run_id;
  return (
    <div class={`wall-run ${isHighlighted ? "highlighted" : ""}`} data-column={run.run_id} style={style}>
      <span class="swatch" style={{ background: runColor(run, theme.value) }} />
      <a href={pathOf({ page: "run", project: run.project, runId: run.run_id, tab: "media" })} title={`${name}\n${run.run_id}`}>
        {name}
      </a>
    </div>
  );
}

interface CellProps {
  project: string;
  metric: string;
  run: RunOverview;
  board: MediaBoard;
  style: Record<string, string>;
  onOpen: ValueProps["onOpen"];
}

function Cell({ project, metric, run, board, style, onOpen }: CellProps) {
  const values = useComputed(() => board.valuesOf(metric, run.run_id)).value;
  const step = board.step.value;
  const value = values?.[0];
  const name = run.name || run.run_id;
  const View = value && kindOf(value.type).View;
  return (
    <div class="wall-cell" role="group" aria-label={`${metric} of ${name}`} data-cell={run.run_id} data-step={value?.step} style={style}>
      {value && View && (
        <>
          <View project={project} value={value} isSmall tables={board.tables} onOpen={onOpen} />
          <p class="fact">
            {`step ${value.step}`}
            {value.items.length === 1 && value.items[0]!.caption !== "" && ` · ${value.items[0]!.caption}`}
            {values.length > 1 && ` · ${value.label || "no label"}, 1 of ${values.length}`}
          </p>
        </>
      )}
      {values?.length === 0 && <p class="fact">{step === null ? "No value" : "No value at this step or before it"}</p>}
    </div>
  );
}
