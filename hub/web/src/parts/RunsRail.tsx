/**
 * The runs beside the charts: which there are, which are drawn, and in which colour.
 *
 * The chip shows or hides a run; the name opens it. Hovering a row highlights the run everywhere.
 */
import { useComputed } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import type { RunOverview } from "../api/types.js";
import { now } from "../state/clock.js";
import { columnTitles, sortOf } from "../state/columns.js";
import { useKeys } from "../state/keys.js";
import { navigate } from "../state/navigation.js";
import { runColor } from "../state/palette.js";
import { followRail, isRailOpen, toggleRail } from "../state/rail.js";
import { pathOf } from "../state/routes.js";
import type { RunsState } from "../state/runs.js";
import { theme } from "../state/theme.js";
import { ColumnChooser } from "./ColumnChooser.js";
import { columnText } from "./columnValues.js";
import { FilterBox } from "./FilterBox.js";
import { formatCount } from "./format.js";
import { Icon } from "./Icon.js";
import { hasNoRuns, NoRuns } from "./NoRuns.js";
import { Failure } from "./Notice.js";
import { RailEdge } from "./RailEdge.js";
import { RailFooter } from "./RailFooter.js";
import { Skeleton } from "./Skeleton.js";
import { SortHeader } from "./SortHeader.js";
import { StateBadge } from "./StateBadge.js";
import { VirtualTable, type TableColumn } from "./VirtualTable.js";

const CHIP_WIDTH = 28;
const COLUMN_WIDTH = 72;
const COLUMNS_MAX = 3;

export function RunsRail({ runs }: { runs: RunsState }) {
  useRailKeys(runs);
  useEffect(followRail, []);
  if (isRailOpen.value) return <OpenRail runs={runs} />;
  const total = runs.list.total.value;
  return (
    <button type="button" class="rail-closed" aria-expanded={false} title="Show the runs: Ctrl+B" onClick={toggleRail}>
      <Icon name="right" />
      <span class="rail-closed-name">Runs</span>
      {total !== null && (
        <span class="fact">{`${formatCount(runs.shown.value.length)} of ${formatCount(total)} shown`}</span>
      )}
    </button>
  );
}

function OpenRail({ runs }: { runs: RunsState }) {
  const { list } = runs;
  const pinned = runs.columns.value.slice(0, COLUMNS_MAX);
  const sort = runs.sort.value;
  const titles = columnTitles(pinned);
  const columns: TableColumn[] = [
    { key: "chip", width: CHIP_WIDTH, header: <span class="off-screen">Drawn</span> },
    {
      key: "name",
      header: <SortHeader column="name" title="Run" sort={sort} onSort={runs.setSort} />,
      sort: sortOf(sort, "name"),
    },
    ...pinned.map((column) => ({
      key: column,
      width: COLUMN_WIDTH,
      className: "number",
      header: <SortHeader column={column} title={titles.get(column)!} sort={sort} onSort={runs.setSort} />,
      sort: sortOf(sort, column),
    })),
  ];
  const rows = list.rows.value;
  return (
    <section class="rail" aria-label="Runs" aria-busy={list.isLoading.value}>
      <div class="rail-head">
        <FilterBox value={runs.filter.value} error={list.filterError.value} onChange={runs.setFilter} />
        <ColumnChooser project={runs.project} columns={runs.columns.value} onChange={runs.setColumns} label={<Icon name="columns" />} name="Choose columns" />
        <button type="button" class="quiet" aria-label="Hide the runs" title="Hide the runs: Ctrl+B" onClick={toggleRail}>
          <Icon name="left" />
        </button>
      </div>
      {list.error.value && rows.length === 0 && (
        <Failure what="The runs could not be read" error={list.error.value} onRetry={list.refresh} />
      )}
      {!list.isReady.value && !list.error.value && !list.filterError.value && <Skeleton rows={12} />}
      {list.isReady.value && !list.filterError.value && rows.length === 0 && !hasNoRuns(runs) && <NoRuns runs={runs} />}
      {hasNoRuns(runs) && <p class="fact rail-none">No runs</p>}
      {rows.length > 0 && (
        <VirtualTable
          label="Runs"
          columns={columns}
          count={Math.max(rows.length, list.total.value ?? 0)}
          onNeed={list.need}
          renderRow={(at) => <RailRow key={rows[at]?.run_id ?? at} at={at} run={rows[at]} runs={runs} pinned={pinned} />}
        />
      )}
      <RailFooter runs={runs} />
      <RailEdge />
    </section>
  );
}

interface RailRowProps {
  at: number;
  run: RunOverview | undefined;
  runs: RunsState;
  pinned: readonly string[];
}

function RailRow({ at, run, runs, pinned }: RailRowProps) {
  // Computed: hovering draws the two rows anew that change, not all.
  const isShown = useComputed(() => runs.shownIds.value.has(run?.run_id ?? "")).value;
  const isHighlighted = useComputed(() => runs.highlighted.value === run?.run_id).value;
  if (run === undefined) {
    return (
      <tr aria-rowindex={at + 2} class="waiting">
        <td colSpan={2 + pinned.length} />
      </tr>
    );
  }
  const name = run.name || run.run_id;
  return (
    <tr
      aria-rowindex={at + 2}
      class={`${isShown ? "" : "hidden-run"} ${isHighlighted ? "highlighted" : ""}`}
      data-run={run.run_id}
      onMouseEnter={() => (runs.highlighted.value = run.run_id)}
      onMouseLeave={() => (runs.highlighted.value = null)}
    >
      <td class="chip-cell">
        <button
          type="button"
          class="chip"
          aria-pressed={isShown}
          aria-label={`Draw ${name}`}
          title={isShown ? "Hide; Alt+click shows only this run" : "Show; Alt+click shows only this run"}
          onClick={(event) => (event.altKey ? runs.showOnly(run.run_id) : runs.toggle(run.run_id))}
        >
          <span style={isShown ? { background: runColor(run, theme.value) } : {}} />
        </button>
      </td>
      <td class="name-cell">
        <span class="name-line">
          <a href={pathOf({ page: "run", project: run.project, runId: run.run_id, tab: "charts" })} title={`${name}\n${run.run_id}`}>
            {name}
          </a>
          <StateBadge state={run.state} lastSeen={run.last_seen} exitCode={run.exit_code} />
        </span>
      </td>
      {pinned.map((column) => {
        const text = columnText(run, column, now.value);
        return (
          <td key={column} class="number" title={text}>
            {text}
          </td>
        );
      })}
    </tr>
  );
}

function useRailKeys(runs: RunsState): void {
  const keys = useMemo(() => {
    const current = () => runs.list.rows.peek().findIndex((row) => row.run_id === runs.highlighted.peek());
    const move = (by: number) => {
      const rows = runs.list.rows.peek();
      const at = Math.min(Math.max(current() + by, 0), rows.length - 1);
      const id = rows[at]?.run_id;
      if (id === undefined) return;
      runs.highlighted.value = id;
      document.querySelector(`.rail tr[data-run="${CSS.escape(id)}"]`)?.scrollIntoView({ block: "nearest" });
    };
    const onCurrent = (act: (run: RunOverview) => void) => () => {
      const run = runs.list.rows.peek()[current()];
      if (run) act(run);
    };
    return [
      { keys: "Ctrl+b", what: "show or hide the runs", run: toggleRail },
      { keys: "j", what: "next run", run: () => move(1) },
      { keys: "k", what: "previous run", run: () => move(-1) },
      { keys: " ", what: "show or hide the run", run: onCurrent((run) => runs.toggle(run.run_id)) },
      { keys: "O", what: "show only this run", run: onCurrent((run) => runs.showOnly(run.run_id)) },
      {
        keys: "o",
        what: "open the run",
        run: onCurrent((run) =>
          navigate(pathOf({ page: "run", project: run.project, runId: run.run_id, tab: "charts" })),
        ),
      },
    ];
  }, [runs]);
  useKeys(keys);
}
