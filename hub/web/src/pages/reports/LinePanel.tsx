/** Charts of metrics, one for each, with a line for each run. The charts are those of the charts page. */
import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";

import type { PanelFields } from "../../api/reports.js";
import { Dialog } from "../../parts/Dialog.js";
import { Failure } from "../../parts/Notice.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { runColor } from "../../state/palette.js";
import { pathOf } from "../../state/routes.js";
import { theme } from "../../state/theme.js";
import type { Board } from "../charts/board.js";
import { AnyPanel } from "../charts/BoardView.js";
import "../charts/charts.css";
import { NearScreen } from "../media/NearScreen.js";
import { NO_RUNS, useChosenRuns } from "./chosenRuns.js";
import { metricPattern, missingMetrics, namesOf, numberOf, scaleOf, textOf } from "./fields.js";
import { Cut } from "./PanelFrame.js";
import { useBoard } from "./useBoard.js";

const CHARTS_MAX = 24;
/** With more runs their names are in the charts' read-outs alone. */
const LEGEND_MAX = 20;

export function LinePanel({ project, fields }: { project: string; fields: PanelFields }) {
  const chosen = useChosenRuns(project, fields);
  const runs = chosen.data.value?.runs ?? null;
  const first = {
    m: metricPattern(fields),
    x: textOf(fields, "x"),
    y: scaleOf(fields),
    sm: numberOf(fields, "smooth") ?? 0,
    g: textOf(fields, "group"),
  };
  const { board, root } = useBoard(project, runs, first, () => void chosen.load());
  const names = board.names.names.value;
  const error = chosen.error.value ?? board.names.error.value;
  const isCut = board.names.isCut.value;
  const [metrics, missing] = useMemo(() => {
    const named = namesOf(fields, "metrics");
    const lacked = isCut ? [] : missingMetrics(named, names);
    return [shownMetrics(named, names).filter((name) => !lacked.includes(name)), lacked];
  }, [fields, names, isCut]);
  const retry = () => (void chosen.load(), board.names.refresh());
  const { full } = board.values.value;
  return (
    <div ref={root} class="report-charts-box">
      {error !== null && (runs === null || names === null) && (
        <Failure what="This panel could not be read" error={error} onRetry={retry} />
      )}
      {error === null && (runs === null || (names === null && runs.length > 0)) && <Skeleton rows={6} />}
      {runs?.length === 0 && <p class="panel-empty">{NO_RUNS}</p>}
      {runs !== null && runs.length > 0 && names !== null && (
        <>
          {missing.map((name) => <p key={name} class="panel-empty">{`These runs have no metric ${name}`}</p>)}
          {metrics.length === 0 && missing.length === 0 && <p class="panel-empty">These runs have no such metric</p>}
          <div class="report-charts">
            {metrics.slice(0, CHARTS_MAX).map((metric) => <ChartPlace key={metric} board={board} metric={metric} />)}
          </div>
          {metrics.length > CHARTS_MAX && (
            <p class="fact">{`The first ${CHARTS_MAX} of ${metrics.length} metrics. Narrow match to see the others.`}</p>
          )}
          <Legend board={board} />
          <Cut cut={chosen.data.value?.cut ?? ""} />
        </>
      )}
      {full !== "" && (
        <Dialog title={full} className="full-panel" onClose={() => board.change({ full: "" })}>
          <AnyPanel board={board} metric={full} isVisible hasChart isFull />
        </Dialog>
      )}
    </div>
  );
}

/** Named metrics in their order, also those without points; then the others that match. */
export function shownMetrics(named: readonly string[], found: readonly string[] | null): string[] {
  return [...new Set([...named, ...(found ?? [])])];
}

function ChartPlace({ board, metric }: { board: Board; metric: string }) {
  const isNear = useSignal(false);
  return (
    <div class="report-chart">
      <NearScreen onNear={(near) => (isNear.value = near)}>
        {() => <AnyPanel board={board} metric={metric} isVisible={isNear.value} hasChart />}
      </NearScreen>
    </div>
  );
}

/** Which line is which run or group. Pointing at a name brings its lines out. */
function Legend({ board }: { board: Board }) {
  const groups = board.groups.value;
  const runs = board.runs.value;
  const entries = groups ?? runs;
  if (entries.length > LEGEND_MAX) return <p class="fact">{`${entries.length} ${groups ? "groups" : "runs"}`}</p>;
  if (groups !== null) {
    return (
      <ul class="report-legend">
        {groups.map((group) => (
          <li key={group.name}>
            <span class="swatch" style={{ background: runColor(group, theme.value) }} />
            {`${group.name} (${group.runIds.length})`}
          </li>
        ))}
      </ul>
    );
  }
  return (
    <ul class="report-legend">
      {runs.map((run) => (
        <li
          key={run.run_id}
          onPointerEnter={() => (board.highlighted.value = run.run_id)}
          onPointerLeave={() => (board.highlighted.value = null)}
        >
          <span class="swatch" style={{ background: runColor(run, theme.value) }} />
          <a href={pathOf({ page: "run", project: run.project, runId: run.run_id, tab: "charts" })}>
            {run.name || run.run_id}
          </a>
        </li>
      ))}
    </ul>
  );
}
