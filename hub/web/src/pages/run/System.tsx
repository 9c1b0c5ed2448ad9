/** What the nodes of a run measured while it ran: sections of charts, a line per device. */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import type { RunDevices } from "../../api/types.js";
import { makeChartLink, type ChartLink } from "../../parts/chartProps.js";
import { Failure, Notice } from "../../parts/Notice.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { makeSystem, type NodeMetrics, type SystemState } from "../../state/system.js";
import { deviceSlots, systemSections, type SystemSection } from "../../state/systemSections.js";
import "../charts/charts.css";
import { NodePanel } from "./NodePanel.js";
import type { RunTabProps } from "./runTab.js";

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
        <Notice title="No node sampled metrics during the run">
          <p>The daemon of a node samples it while a run logs there. Short runs can end before the first sample.</p>
        </Notice>
      )}
      <div class="system-tools">
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
        <GpuChoice state={state} />
      </div>
      {metrics && <Sections metrics={metrics} wanted={wanted} state={state} link={link} isOneHost={hosts.size <= 1} />}
    </div>
  );
}

const SOURCES: Readonly<Record<RunDevices["source"], string>> = {
  processes: "The run's GPUs are those on which its processes use memory.",
  environment: "The run's GPUs are those in CUDA_VISIBLE_DEVICES, or a similar variable, at its start.",
  node: "It is unknown which of them the run uses.",
};

/** Which GPUs are shown, and what they are. */
function GpuChoice({ state }: { state: SystemState }) {
  const known = state.devices.value;
  const gpus = known?.devices.filter((device) => device.kind === "gpu") ?? [];
  if (!known || gpus.length === 0) return null;
  const own = gpus.filter((device) => device.is_of_run).length;
  const models = [...new Set(gpus.map((device) => device.name).filter(Boolean))].join(", ");
  return (
    <p class="system-gpus">
      {own < gpus.length && (
        <select
          aria-label="Which GPUs"
          value={state.choice.value}
          onChange={(event) => state.choose(event.currentTarget.value as "run" | "all")}
        >
          <option value="run">{`GPUs of this run: ${own}`}</option>
          <option value="all">{`All GPUs of the node: ${gpus.length}`}</option>
        </select>
      )}
      <span class="fact" title={SOURCES[known.source]}>
        {`${gpus.length} ${gpus.length === 1 ? "GPU" : "GPUs"}${models && `: ${models}`}`}
      </span>
    </p>
  );
}

interface SectionsProps {
  metrics: NodeMetrics;
  wanted: string;
  state: SystemState;
  link: ChartLink;
  isOneHost: boolean;
}

function Sections({ metrics, wanted, ...rest }: SectionsProps) {
  const sections = useMemo(() => systemSections(metrics), [metrics]);
  return (
    <>
      {sections.map((section) => (
        <Section key={section.title} section={section} metrics={metrics} wanted={wanted} {...rest} />
      ))}
    </>
  );
}

function Section({ section, metrics, wanted, state, link, isOneHost }: SectionsProps & { section: SystemSection }) {
  const isOpen = useSignal(false);
  const matches = (metric: string) => metric.toLowerCase().includes(wanted);
  const drawn = section.metrics.filter(matches);
  const constant = section.constant.filter(matches);
  const all = [...section.metrics, ...section.constant];
  const slots = useMemo(() => deviceSlots(all.map((metric) => metrics.get(metric)!)), [metrics, section]);
  if (drawn.length + constant.length === 0) return null;
  const gpuNames = namesOf(state.devices.value);
  const panel = (metric: string) => (
    <NodePanel
      key={metric} metric={metric} series={metrics.get(metric)!} slots={slots} names={gpuNames}
      state={state} link={link} isOneHost={isOneHost}
    />
  );
  return (
    <section aria-label={section.title} class="system-section">
      <h2>{section.title}</h2>
      {drawn.length > 0 && <div class="system-grid">{drawn.map(panel)}</div>}
      {constant.length > 0 && (
        <details open={isOpen.value || wanted !== ""} onToggle={(event) => (isOpen.value = event.currentTarget.open)}>
          <summary>{`${constant.length} ${constant.length === 1 ? "metric" : "metrics"} that did not change`}</summary>
          {(isOpen.value || wanted !== "") && <div class="system-grid">{constant.map(panel)}</div>}
        </details>
      )}
    </section>
  );
}

/** Models and UUIDs by device, for the legends. */
function namesOf(known: RunDevices | null): ReadonlyMap<string, string> {
  const named = known?.devices.filter((device) => device.name || device.id) ?? [];
  return new Map(
    named.map((device) => [JSON.stringify([device.host, device.label]), `${device.name} ${device.id}`.trim()]),
  );
}
