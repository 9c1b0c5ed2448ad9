/**
 * The keys of config and summary that a project's runs have, for columns.
 *
 * A run's summary has the last value of each metric beside what was set by hand, so metrics are
 * keys of it too.
 */
import { listAttributes, listMetrics } from "../api/hub.js";
import type { AttributeKey, MetricName } from "../api/types.js";
import { LIKELY_RESULTS } from "./defaultColumns.js";

export interface ColumnKeys {
  config: readonly AttributeKey[];
  summary: readonly AttributeKey[];
  /** The names of metrics; only these have statistics. */
  metrics: readonly string[];
}

/** The first `limit` of each whose path matches `search`, an RE2 expression; case is ignored. */
export async function findColumnKeys(
  project: string,
  search: string,
  limit: number,
  signal: AbortSignal,
): Promise<ColumnKeys> {
  const pattern = search === "" ? "" : `(?i)${search}`;
  const [config, byHand, metrics] = await Promise.all([
    listAttributes(project, { kind: "config", search: pattern, limit }, { signal }),
    listAttributes(project, { kind: "summary", search: pattern, limit }, { signal }),
    listMetrics(project, { search: pattern, limit }, { signal }),
  ]);
  return {
    config: config.attributes,
    summary: joinSummary(byHand.attributes, metrics.metrics).slice(0, limit),
    metrics: metrics.metrics.map(({ metric }) => metric),
  };
}

/** What the default columns are chosen from: a few keys, and every metric with a likely name. */
export async function likelyColumnKeys(project: string, signal: AbortSignal): Promise<readonly AttributeKey[]> {
  const [some, results] = await Promise.all([
    findColumnKeys(project, "", 200, signal),
    listMetrics(project, { search: `(?i)${LIKELY_RESULTS.map((each) => each.source).join("|")}`, limit: 200 }, { signal }),
  ]);
  return [...some.config, ...joinSummary(some.summary, results.metrics)];
}

export function joinSummary(
  byHand: readonly AttributeKey[],
  metrics: readonly MetricName[],
): AttributeKey[] {
  const keys = new Map(byHand.map((key) => [key.path, key]));
  for (const { metric, run_count } of metrics) {
    if (keys.has(metric)) continue;
    keys.set(metric, { kind: "summary", path: metric, types: ["float"], run_count: run_count ?? 0 });
  }
  return [...keys.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}
