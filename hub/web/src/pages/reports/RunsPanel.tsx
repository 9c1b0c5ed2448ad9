/** A table of runs, and one number of the best run. */
import { listRuns } from "../../api/hub.js";
import type { PanelFields } from "../../api/reports.js";
import type { RunOverview } from "../../api/types.js";
import { columnHint, columnText, isNumberColumn } from "../../parts/columnValues.js";
import { formatExact, formatValue } from "../../parts/format.js";
import { StateBadge } from "../../parts/StateBadge.js";
import { now } from "../../state/clock.js";
import { columnTitles } from "../../state/columns.js";
import { runColor } from "../../state/palette.js";
import { usePolling } from "../../state/polling.js";
import { useResource } from "../../state/resource.js";
import { pathOf } from "../../state/routes.js";
import { theme } from "../../state/theme.js";
import { NO_RUNS, useChosenRuns } from "./chosenRuns.js";
import { cutText, namesOf, neededMetrics, runsQuery, textOf, withCut } from "./fields.js";
import { Answered, Cut } from "./PanelFrame.js";

interface BlockProps {
  project: string;
  fields: PanelFields;
}

export function RunsPanel({ project, fields }: BlockProps) {
  const columns = namesOf(fields, "columns").filter((column) => column !== "name");
  const chosen = useChosenRuns(project, fields, columns);
  return (
    <Answered resource={chosen} empty={({ runs }) => (runs.length === 0 ? NO_RUNS : "")}>
      {({ runs, cut }) => (
        <>
          <RunsTable runs={runs} columns={columns} />
          <Cut cut={cut} />
        </>
      )}
    </Answered>
  );
}

function RunsTable({ runs, columns }: { runs: readonly RunOverview[]; columns: readonly string[] }) {
  const titles = columnTitles(columns);
  const numeric = new Set(columns.filter((column) => runs.some((run) => isNumberColumn(run, column))));
  return (
    <div class="scroll-x" tabIndex={0} role="group" aria-label="Table of runs">
      <table class="rows">
        <thead>
          <tr>
            <th scope="col">Run</th>
            {columns.map((column) => (
              <th key={column} scope="col" class={numeric.has(column) ? "number" : ""} title={column}>
                {titles.get(column)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {runs.map((run) => (
            <tr key={run.run_id}>
              <th scope="row"><RunLink run={run} /></th>
              {columns.map((column) => (
                <td
                  key={column}
                  class={numeric.has(column) ? "number" : ""}
                  title={columnHint(run, column, now.value)}
                >
                  {column === "state" ? (
                    <StateBadge state={run.state} lastSeen={run.last_seen} exitCode={run.exit_code} always />
                  ) : (
                    columnText(run, column, now.value)
                  )}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function RunLink({ run }: { run: RunOverview }) {
  return (
    <>
      <span class="swatch" style={{ background: runColor(run, theme.value) }} />{" "}
      <a href={pathOf({ page: "run", project: run.project, runId: run.run_id, tab: "charts" })} title={run.run_id}>
        {run.name || run.run_id}
      </a>
    </>
  );
}

function noValue(metric: string, cut: string, isLogged: boolean): string {
  if (isLogged) return `No run has a finite value of ${metric}`;
  return cut === "" ? `No run has ${metric}` : withCut(`These runs have no ${metric}`, cut);
}

/** Runs that are looked at for the newest value. */
const NEWEST_RUNS = 20;

export function ValuePanel({ project, fields }: BlockProps) {
  const metric = textOf(fields, "metric");
  const best = textOf(fields, "best");
  const column = `metric.${metric}:${best}`;
  const order = best === "last" ? "-started" : best === "min" ? column : `-${column}`;
  const query = { ...runsQuery(fields, [column]), sort: [order], limit: best === "last" ? NEWEST_RUNS : 1 };
  const found = useResource(JSON.stringify([project, query]), async (signal) => {
    // The best value has a run of its own: those without it come last.
    const logged = best === "last" ? neededMetrics(fields) : [];
    const page = await listRuns(project, { ...query, logged }, { signal });
    const { runs } = page;
    const run = runs.find((each) => each.columns[column] != null) ?? null;
    // A metric of NaN and infinities alone has no best value, though it was logged.
    const newest = `metric.${metric}:last`;
    const anyValue = { ...runsQuery(fields, [newest]), sort: ["-started"], limit: 1, logged: [metric] };
    const others = run === null && best !== "last" ? (await listRuns(project, anyValue, { signal })).runs : [];
    return {
      run,
      isLogged: others.some((each) => each.columns[newest] != null),
      isRunning: runs.some((run) => run.state === "running"),
      // Of the best value one run is read: those without it come last.
      cut: best === "last" ? cutText(fields, page) : "",
    };
  });
  const data = found.data.value;
  usePolling(found, data !== null && (data.run === null || data.isRunning));
  return (
    <Answered resource={found} rows={2} empty={({ run, cut, isLogged }) => (run === null ? noValue(metric, cut, isLogged) : "")}>
      {({ run }) => (
        <div class="report-value">
          <p class="fact">{`${best === "last" ? "newest" : best} ${metric}`}</p>
          <p class="report-number" title={formatExact(run!.columns[column])}>{formatValue(run!.columns[column])}</p>
          <p class="fact"><RunLink run={run!} /></p>
        </div>
      )}
    </Answered>
  );
}
