/** One metric of the nodes: a chart with a line per device, and the devices' newest values. */
import { useMemo } from "preact/hooks";

import type { BucketSeries } from "../../engine/frames.js";
import type { ChartSeries } from "../../engine/lines.js";
import { Chart } from "../../parts/Chart.js";
import type { ChartLink } from "../../parts/chartProps.js";
import { formatBytes, formatMoment, formatNumber } from "../../parts/format.js";
import { runColor } from "../../state/palette.js";
import { nodeSeriesName, type SystemState } from "../../state/system.js";
import { deviceKey, hasEnded, lastMoment } from "../../state/systemSections.js";
import { theme } from "../../state/theme.js";

const LEGEND_MAX = 16;

interface NodePanelProps {
  metric: string;
  series: readonly BucketSeries[];
  /** The colour of each device, by `deviceKey`. */
  slots: ReadonlyMap<string, number>;
  /** What each device is, by `deviceKey`. */
  names: ReadonlyMap<string, string>;
  state: SystemState;
  link: ChartLink;
  isOneHost: boolean;
}

export function NodePanel({ metric, series, slots, names, state, link, isOneHost }: NodePanelProps) {
  const colors = theme.value;
  const lines = useMemo<readonly ChartSeries[]>(
    () =>
      [...series]
        .sort((a, b) => slots.get(deviceKey(a))! - slots.get(deviceKey(b))!)
        .map((data) => ({
          id: deviceKey(data),
          runId: "",
          name: nodeSeriesName(data, isOneHost),
          color: runColor({ slot: slots.get(deviceKey(data))!, color: "" }, colors),
          data,
        })),
    [series, slots, isOneHost, colors],
  );
  const format = formatOf(metric);
  const newest = Math.max(...series.map(lastMoment));
  return (
    <section class="card node-panel" aria-label={metric} data-metric={metric} data-series={series.length}>
      <h3 class="mono">{metric}</h3>
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
          <li key={line.id} title={names.get(line.id)}>
            <span class="swatch" style={{ background: line.color }} />
            <span class="node-name">{line.name}</span>
            <LastValue data={line.data} newest={newest} format={format} />
          </li>
        ))}
        {lines.length > LEGEND_MAX && <li class="fact">{`${lines.length - LEGEND_MAX} more`}</li>}
      </ul>
    </section>
  );
}

interface LastValueProps {
  data: BucketSeries;
  newest: number;
  format: (value: number) => string;
}

function LastValue({ data, newest, format }: LastValueProps) {
  if (hasEnded(data, newest)) {
    const moment = formatMoment(lastMoment(data) / 1e6);
    return <span class="fact" title={`No value since ${moment}`}>no value</span>;
  }
  return <span class="fact">{format(data.last[data.length - 1] ?? NaN)}</span>;
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
