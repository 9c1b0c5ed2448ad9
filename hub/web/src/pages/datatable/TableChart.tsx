/** The chart that a script made of its table: title, drawing, legend, and what is not drawn. */
import { useMemo } from "preact/hooks";

import type { TableAddress } from "../../api/tables.js";
import type { AxisUnit } from "../../engine/scales.js";
import { chartTheme } from "../../parts/chartTheme.js";
import { formatAmount, formatCount } from "../../parts/format.js";
import { Failure, Notice } from "../../parts/Notice.js";
import { Skeleton } from "../../parts/Skeleton.js";
import type { Size } from "../../parts/useSize.js";
import { useResource } from "../../state/resource.js";
import { theme, type Theme } from "../../state/theme.js";
import { barDrawing, binDrawing } from "./barDrawing.js";
import { ChartArea, type Drawing } from "./ChartArea.js";
import { BARS_MAX, barsOf, binsOf, linesOf, matrixOf, SERIES_MAX, type Series } from "./chartData.js";
import { readChartRows, type ChartColumn, type ChartRows } from "./chartRows.js";
import { CLASSES_MAX, type ChartSpec } from "./chartSpec.js";
import { pointDrawing, seriesColor } from "./pointDrawing.js";
import { matrixDrawing } from "./matrixDrawing.js";
import "./tablechart.css";

interface TableChartProps extends TableAddress {
  readonly spec: ChartSpec;
  readonly name: string;
  /** "" without one. */
  readonly title: string;
  readonly isSmall: boolean;
}

export function TableChart({ project, runId, digest, spec, name, title, isSmall }: TableChartProps) {
  const table = { project, runId, digest };
  const rows = useResource(JSON.stringify([table, spec, isSmall]), (signal) => readChartRows(table, spec, isSmall, signal));
  const [found, error] = [rows.data.value, rows.error.value];
  if (found !== null) return <Chart spec={spec} rows={found} name={name} title={title} isSmall={isSmall} />;
  // As high as most charts: what is below does not jump.
  if (error === null) return <div class={`tablechart-area ${isSmall ? "small" : ""}`}><Skeleton rows={3} /></div>;
  if (isSmall) return <p class="media-state failed" title={error.message}>No chart</p>;
  return <Failure what="The chart is not shown" error={error} onRetry={() => rows.load()} />;
}

interface ChartProps {
  spec: ChartSpec;
  rows: ChartRows;
  name: string;
  title: string;
  isSmall: boolean;
}

interface Content {
  draw(size: Size): Drawing;
  readonly isEmpty: boolean;
  readonly isGrowing: boolean;
  /** Lines with names. */
  readonly legend: readonly Series[];
  readonly notes: readonly string[];
}

function Chart({ spec, rows, name, title, isSmall }: ChartProps) {
  const colors = theme.value;
  const { draw, isEmpty, isGrowing, legend, notes } = useMemo(
    () => contentOf(spec, rows, isSmall, colors),
    [JSON.stringify(spec), rows, isSmall, colors],
  );
  if (isEmpty && isSmall) return <p class="media-state">Nothing to draw</p>;
  const label = `${KIND_NAMES[spec.kind]} ${title || name}`;
  const all = rows.part === "all" ? notes : [partNote(rows, isSmall), ...notes];
  return (
    <div class={`tablechart ${isSmall ? "small" : ""}`} data-kind={spec.kind}>
      {!isSmall && title !== "" && <h3>{title}</h3>}
      {isEmpty ? (
        <Notice title={rows.total === 0 ? "The table has no rows" : "No row has the numbers of the chart"} />
      ) : (
        <ChartArea label={label} isSmall={isSmall} isGrowing={isGrowing && !isSmall} draw={draw} />
      )}
      {!isSmall && legend.length > 0 && (
        <ul class="tablechart-legend" aria-label="Lines">
          {legend.map((line, at) => (
            <li key={at}>
              <span class="swatch" style={{ background: seriesColor(at, legend.length, colors) }} />
              <span title={line.name}>{line.name}</span>
            </li>
          ))}
        </ul>
      )}
      {all.length > 0 && <p class="fact" title={isSmall ? all.join(" · ") : undefined}>{all.join(" · ")}</p>}
    </div>
  );
}

const KIND_NAMES: Readonly<Record<ChartSpec["kind"], string>> = {
  line: "Lines", curve: "Curves", scatter: "Points", bar: "Bars", histogram: "Histogram", confusion_matrix: "Confusion matrix",
};

/** What is drawn of the rows, before its size is known. */
function contentOf(spec: ChartSpec, rows: ChartRows, isSmall: boolean, colors: Theme): Content {
  const { x, y, label, value } = rows.columns;
  const plain = { isSmall, isGrowing: false, legend: [] };
  switch (spec.kind) {
    case "bar": {
      const { bars, more, left } = barsOf(rows);
      const titles = { xTitle: spec.yTitle || nameOf(value), yTitle: spec.xTitle || nameOf(label) };
      return {
        ...plain,
        draw: (size) => barDrawing(bars, { ...size, isSmall, ...titles, unit: unitOf(value) }),
        isEmpty: bars.length === 0,
        isGrowing: true,
        notes: notesOf(left, more > 0 ? `The first ${formatCount(BARS_MAX)} of ${formatAmount(BARS_MAX + more, "bar")}` : ""),
      };
    }
    case "histogram": {
      const { bins, left } = binsOf(rows);
      const xTitle = spec.xTitle || nameOf(value);
      return {
        ...plain,
        draw: (size) => binDrawing(bins, { ...size, isSmall, xTitle, unit: unitOf(value) }),
        isEmpty: bins.length === 0,
        notes: notesOf(left, ""),
      };
    }
    case "confusion_matrix": {
      const matrix = matrixOf(rows);
      const { more, left } = matrix;
      const { card, ramp } = chartTheme(colors);
      return {
        ...plain,
        draw: (size) => matrixDrawing(matrix, { ...size, isSmall, card, ramp: ramp.slice(0, 2) }),
        isEmpty: matrix.classes.length === 0,
        isGrowing: true,
        notes: notesOf(left, more > 0 ? `The first ${formatCount(CLASSES_MAX)} of ${formatAmount(CLASSES_MAX + more, "class", "classes")}` : ""),
      };
    }
    default: {
      const lines = linesOf(rows);
      const { series, more, left } = lines;
      const options = {
        isSmall,
        theme: colors,
        xTitle: spec.xTitle || nameOf(x),
        yTitle: spec.yTitle || nameOf(y),
        xUnit: unitOf(x),
        yUnit: unitOf(y),
      };
      return {
        ...plain,
        draw: (size) => pointDrawing(spec, lines, { ...size, ...options }),
        isEmpty: series.length === 0,
        // Without a column of names, the one line has the name of the y axis.
        legend: rows.columns.series === undefined ? [] : series,
        notes: notesOf(left, more > 0 ? `The first ${formatCount(SERIES_MAX)} of ${formatAmount(SERIES_MAX + more, "line")}` : ""),
      };
    }
  }
}

function partNote({ part, read, total }: ChartRows, isSmall: boolean): string {
  const counts = `${formatCount(read)} of ${formatAmount(total, "row")}`;
  if (part === "thinned") return isSmall ? counts : `${counts}, evenly spread`;
  return part === "classes" ? `The first ${formatCount(CLASSES_MAX)} classes, ${counts}` : `First ${counts}`;
}

function notesOf(left: number, more: string): string[] {
  return [more, left > 0 ? `${formatAmount(left, "row")} without a number` : ""].filter((note) => note !== "");
}

function nameOf(column: ChartColumn | undefined): string {
  return column?.name ?? "";
}

function unitOf(column: ChartColumn | undefined): AxisUnit {
  return column?.type === "datetime" ? "utc" : "number";
}
