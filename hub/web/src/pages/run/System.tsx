/** What the nodes of a run measured while it ran: a chart per metric, a line per device. */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import type { BucketSeries } from "../../engine/frames.js";
import type { ChartSeries } from "../../engine/lines.js";
import { Chart, makeChartLink, type ChartLink } from "../../parts/Chart.js";
import { formatBytes, formatNumber } from "../../parts/format.js";
import { Failure, Notice } from "../../parts/Notice.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { runColor } from "../../state/palette.js";
import { makeSystem, nodeSeriesName, type SystemState } from "../../state/system.js";
import { theme } from "../../state/theme.js";
import "../charts/charts.css";
import type { RunTabProps } from "./Run.js";

const LEGEND_MAX = 8;
const SEARCH_FROM = 6;

export function System({ run }: RunTabProps) {
  const { project, run_id } = run;
  const state = useMemo(() => makeSystem(project, run_id), [project, run_id]);
  const link = useMemo(() => makeChartLink(), []);
  const isRunning = run.state === "running";
  useEffect(() => {
    void state.load();
    return state.close;
  }, [state]);
  useEffect(() => (isRunning ? state.follow() : undefined), [state, isRunning]);
  const metrics = state.metrics.value;
  const error = state.error.value;
  const search = useSignal("");
  const wanted = search.value.trim().toLowerCase();
  const hosts = new Set([...(metrics?.values() ?? [])].flat().map((series) => series.host));
  return (
    <div class="system">
      {error && (
        <Failure what="The nodes' metrics could not be read" error={error} onRetry={() => void state.load()} />
      )}
      {!metrics && !error && <Skeleton rows={8} />}
      {metrics?.size === 0 && (
        <Notice title="No node measured anything while the run ran">
          <p>The daemon of a node samples it while a run logs there. Short runs can end before the first sample.</p>
        </Notice>
      )}
      {metrics && metrics.size > SEARCH_FROM && (
        <input
          type="search"
          data-key="/"
          aria-label="Search the nodes' metrics"
          placeholder={`Search ${metrics.size} metrics of ${hosts.size === 1 ? [...hosts][0] : `${hosts.size} nodes`}`}
          value={search.value}
          onInput={(event) => (search.value = event.currentTarget.value)}
        />
      )}
      {metrics && (
        <div class="system-grid">
          {[...metrics].filter(([metric]) => metric.toLowerCase().includes(wanted)).map(([metric, series]) => (
            <NodePanel key={metric} metric={metric} series={series} state={state} link={link} isOneHost={hosts.size <= 1} />
          ))}
        </div>
      )}
    </div>
  );
}

interface NodePanelProps {
  metric: string;
  series: readonly BucketSeries[];
  state: SystemState;
  link: ChartLink;
  isOneHost: boolean;
}

function NodePanel({ metric, series, state, link, isOneHost }: NodePanelProps) {
  const colors = theme.value;
  const lines = useMemo<readonly ChartSeries[]>(
    () =>
      series.map((data, slot) => ({
        id: JSON.stringify([data.host, data.label]),
        runId: "",
        name: nodeSeriesName(data, isOneHost),
        color: runColor({ slot, color: "" }, colors),
        data,
      })),
    [series, isOneHost, colors],
  );
  const format = formatOf(metric);
  return (
    <section class="card node-panel" aria-label={metric} data-metric={metric} data-series={series.length}>
      <h2 class="mono">{metric}</h2>
      <div class="node-chart">
        <Chart
          label={`${metric} of ${series.length} devices`}
          series={lines}
          link={link}
          xUnit="time"
          xName="time"
          zoom={state.zoom.value}
          bands
          onZoom={state.zoomTo}
          formatY={format}
        />
      </div>
      <ul class="node-legend">
        {lines.slice(0, LEGEND_MAX).map((line) => (
          <li key={line.id}>
            <span class="swatch" style={{ background: line.color }} />
            <span class="node-name" title={line.name}>{line.name}</span>
            <span class="fact">{format(line.data.last[line.data.length - 1] ?? NaN)}</span>
          </li>
        ))}
        {lines.length > LEGEND_MAX && <li class="fact">{`${lines.length - LEGEND_MAX} more`}</li>}
      </ul>
    </section>
  );
}

/** Values in the unit that the name ends with. */
function formatOf(metric: string): (value: number) => string {
  if (metric.endsWith("_bytes_per_second")) return (value) => `${formatBytes(Math.round(value))}/s`;
  if (metric.endsWith("_bytes")) return (value) => formatBytes(Math.round(value));
  if (metric.endsWith("_ratio")) return (value) => `${formatNumber(Math.round(value * 1000) / 10)} %`;
  if (metric.endsWith("_watts")) return (value) => `${formatNumber(value)} W`;
  if (metric.endsWith("_celsius")) return (value) => `${formatNumber(value)} °C`;
  if (metric.endsWith("_hertz")) return (value) => `${formatNumber(value / 1e6)} MHz`;
  return formatNumber;
}
