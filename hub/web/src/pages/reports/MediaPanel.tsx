/** Media that runs logged, as they stand at a step; and rows of a logged table. */
import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";

import { listMediaAt } from "../../api/hub.js";
import type { PanelFields } from "../../api/reports.js";
import { getTable, queryTable } from "../../api/tables.js";
import type { MediaValue, RunOverview } from "../../api/types.js";
import { formatAmount, formatCount } from "../../parts/format.js";
import { localView } from "../../state/localView.js";
import { useResource } from "../../state/resource.js";
import { pathOf } from "../../state/routes.js";
import { formatTables, readTables, tableKey } from "../datatable/address.js";
import "../datatable/datatable.css";
import { RowDialog, TextButton, textToOpen } from "../datatable/RowDialog.js";
import { SmallCell } from "../datatable/TablePreview.js";
import { EMPTY_VIEW } from "../datatable/view.js";
import { stateText } from "../media/items.js";
import { kindOf } from "../media/kinds.js";
import type { TableStore } from "../media/valueProps.js";
import { Lightbox } from "../media/Lightbox.js";
import "../media/media.css";
import { MEDIA_FIELDS } from "../media/view.js";
import { NO_RUNS, useChosenRuns } from "./chosenRuns.js";
import { numberOf, textOf, withCut } from "./fields.js";
import { Answered, Cut } from "./PanelFrame.js";
import { RunLink } from "./RunsPanel.js";

interface BlockProps {
  project: string;
  fields: PanelFields;
}

interface Found {
  runs: readonly RunOverview[];
  values: readonly MediaValue[];
}

/** The runs of a panel with their media of its metric. */
function useMedia(project: string, fields: PanelFields) {
  const chosen = useChosenRuns(project, fields);
  const runs = chosen.data.value?.runs ?? null;
  const ids = runs?.map(({ run_id }) => run_id) ?? [];
  const metric = textOf(fields, "metric");
  const step = numberOf(fields, "step");
  const states = runs?.map(({ state }) => state).join();
  const found = useResource(JSON.stringify([project, ids, states, metric, step]), async (signal): Promise<Found> => {
    if (runs === null || runs.length === 0) return { runs: runs ?? [], values: [] };
    const { values } = await listMediaAt(project, { runs: ids, metrics: [metric], step }, { signal });
    return { runs, values };
  });
  return { chosen, found, metric };
}

export function MediaPanel({ project, fields }: BlockProps) {
  const { chosen, found, metric } = useMedia(project, fields);
  const opened = useSignal<{ value: MediaValue; at: number } | null>(null);
  const tables = useMemo(localTables, []);
  const open = opened.value;
  const openRun = found.data.value?.runs.find(({ run_id }) => run_id === open?.value.run_id);
  return (
    <Answered resource={chosen} empty={({ runs }) => (runs.length === 0 ? NO_RUNS : "")}>
      {({ cut }) => (
        <Answered resource={found} empty={({ values }) => (values.length === 0 ? withCut(`These runs have no media ${metric}`, cut) : "")}>
          {({ runs, values }) => (
            <>
              {runs.map((run) =>
                values
                  .filter(({ run_id }) => run_id === run.run_id)
                  .map((value) => {
                    const { View } = kindOf(value.type);
                    return (
                      <div key={`${run.run_id} ${value.label}`} class="media-value report-media">
                        <p class="fact">
                          <RunLink run={run} />
                          {` ${metric}, step ${formatCount(value.step)}${value.label === "" ? "" : `, ${value.label}`}`}
                        </p>
                        <View
                          project={project}
                          value={value}
                          isSmall={false}
                          tables={tables}
                          onOpen={(what, at) => (opened.value = { value: what, at })}
                        />
                      </div>
                    );
                  }),
              )}
              {open !== null && openRun && (
                <Lightbox
                  value={open.value}
                  at={open.at}
                  run={openRun}
                  tables={tables}
                  onTurn={(at) => (opened.value = { ...open, at })}
                  onClose={() => (opened.value = null)}
                />
              )}
              <Cut cut={cut} />
            </>
          )}
        </Answered>
      )}
    </Answered>
  );
}

/** How the tables of this panel are shown; a reload forgets it. */
function localTables(): TableStore {
  const view = localView(MEDIA_FIELDS, {});
  const all = () => readTables(view.values.value.tables);
  return {
    viewOf: (metric, label) => all().get(tableKey(metric, label)) ?? EMPTY_VIEW,
    change: (metric, label, next) =>
      view.change({ tables: formatTables(new Map(all()).set(tableKey(metric, label), next)) }),
  };
}

export function TablePanel({ project, fields }: BlockProps) {
  const { chosen, found, metric } = useMedia(project, fields);
  const tableOf = ({ runs, values }: Found) =>
    runs.flatMap(({ run_id }) => values.filter((value) => value.run_id === run_id && value.type === "table-file"))[0];
  return (
    <Answered resource={chosen} empty={({ runs }) => (runs.length === 0 ? NO_RUNS : "")}>
      {({ cut }) => (
        <Answered resource={found} empty={(data) => (tableOf(data) ? "" : withCut(`These runs have no table ${metric}`, cut))}>
          {(data) => <TableRows project={project} value={tableOf(data)!} runs={data.runs} rows={numberOf(fields, "rows") ?? 20} />}
        </Answered>
      )}
    </Answered>
  );
}

interface TableRowsProps {
  project: string;
  value: MediaValue;
  runs: readonly RunOverview[];
  rows: number;
}

function TableRows({ project, value, runs, rows }: TableRowsProps) {
  const item = value.items[0];
  if (item === undefined || item.state !== "ready")
    return <p class="panel-empty">{item === undefined ? "An empty table" : stateText(item)}</p>;
  return <ReadyRows project={project} value={value} digest={item.digest} runs={runs} rows={rows} />;
}

const EVERY_ROW = { filter: [], search: "", sort: [] };

function ReadyRows({ project, value, digest, runs, rows }: TableRowsProps & { digest: string }) {
  const table = { project, runId: value.run_id, digest };
  const read = useResource(JSON.stringify([table, rows]), async (signal) => {
    const query = { ...EVERY_ROW, offset: 0, limit: rows };
    const [facts, page] = await Promise.all([getTable(table, { signal }), queryTable(table, query, { signal })]);
    return { facts, page };
  });
  const opened = useSignal<number | null>(null);
  const run = runs.find(({ run_id }) => run_id === value.run_id);
  const link = pathOf({ page: "run", project, runId: value.run_id, tab: "media" });
  return (
    <Answered resource={read} empty={() => ""}>
      {({ facts, page }) => (
        <>
          <div class="scroll-x" tabIndex={0} role="group" aria-label={`Table ${value.metric}`}>
            <table class="rows report-table">
              <thead>
                <tr>
                  {facts.columns.map(({ name }, at) => <th key={at} scope="col">{name || `column ${at + 1}`}</th>)}
                </tr>
              </thead>
              <tbody>
                {page.rows.map(({ row, cells }, place) => (
                  <tr key={row}>
                    {facts.columns.map(({ type }, at) => {
                      const text = textToOpen(cells[at], type);
                      if (text === "") return <td key={at}><SmallCell cell={cells[at]} type={type} /></td>;
                      return (
                        <td key={at} class="text">
                          <TextButton text={text} title="Open the row" onOpen={() => (opened.value = place)} />
                        </td>
                      );
                    })}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          <p class="fact">
            {`${formatAmount(Math.min(rows, facts.rows), "row")} of ${formatCount(facts.rows)}, step ${formatCount(value.step)} of `}
            <a href={link}>{run?.name || value.run_id}</a>
          </p>
          {opened.value !== null && (
            <RowDialog
              table={table}
              name={value.metric}
              facts={facts}
              query={EVERY_ROW}
              place={opened.value}
              matching={facts.rows}
              onClose={() => (opened.value = null)}
            />
          )}
        </>
      )}
    </Answered>
  );
}
