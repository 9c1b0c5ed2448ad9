/** Histograms of a metric over the steps, of the first run that has some. */
import type { PanelFields } from "../../api/reports.js";
import { Dialog } from "../../parts/Dialog.js";
import "../charts/charts.css";
import { HistogramPanel } from "../charts/HistogramPanel.js";
import { NearScreen } from "../media/NearScreen.js";
import { NO_RUNS, useChosenRuns } from "./chosenRuns.js";
import { textOf } from "./fields.js";
import { Answered, Cut } from "./PanelFrame.js";
import { useBoard } from "./useBoard.js";

export function HistogramBlock({ project, fields }: { project: string; fields: PanelFields }) {
  const chosen = useChosenRuns(project, fields);
  const metric = textOf(fields, "metric");
  const hm = textOf(fields, "mode") === "ridge" ? "ridge" : "heat";
  // The board's own list of metrics is not shown; this one name keeps its question small.
  const { board, root } = useBoard(project, chosen.data.value?.runs ?? null, { hm, m: "^$" }, () => void chosen.load());
  const { full } = board.values.value;
  return (
    <div ref={root} class="report-charts-box">
      <Answered resource={chosen} rows={6} empty={({ runs }) => (runs.length === 0 ? NO_RUNS : "")}>
        {({ cut }) => (
          <div class="report-chart">
            <NearScreen onNear={() => undefined}>
              {() => <HistogramPanel board={board} metric={metric} hasChart />}
            </NearScreen>
            <Cut cut={cut} />
          </div>
        )}
      </Answered>
      {full !== "" && (
        <Dialog title={full} className="full-panel" onClose={() => board.change({ full: "" })}>
          <HistogramPanel board={board} metric={metric} hasChart isFull />
        </Dialog>
      )}
    </div>
  );
}
