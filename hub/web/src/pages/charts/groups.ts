/** Groups of runs: which there are for a chosen key, with the colour of their oldest run if no other group has it. */
import { computed, effect, signal, type ReadonlySignal } from "@preact/signals";

import { isAborted } from "../../api/errors.js";
import { listRuns } from "../../api/hub.js";
import type { RunOverview } from "../../api/types.js";
import { isValueMap, type Value } from "../../api/values.js";
import { columnValue } from "../../parts/columnValues.js";
import { formatExact, formatValue } from "../../parts/format.js";
import { now } from "../../state/clock.js";
import { isOwnColumn } from "../../state/columns.js";
import { SLOT_COUNT } from "../../state/palette.js";

export interface RunGroup {
  readonly name: string;
  readonly runIds: readonly string[];
  readonly slot: number;
  readonly color: string;
}

const OWN = ["group", "job_type", "sweep", "state"] as const;
const PAGE = 500;
const GROUPS_MAX = 50;

/**
 * Groups of `runs` with equal values, in order of their first run.
 *
 * Runs without a value, and with null, are one group. The text "1" is not the number.
 */
export function groupRuns(
  runs: readonly RunOverview[],
  valueOf: (run: RunOverview) => Value | undefined,
): RunGroup[] {
  const groups = new Map<string, { value: Value; runs: RunOverview[] }>();
  for (const run of runs) {
    const value = valueOf(run) ?? null;
    const key = keyOf(value);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { value, runs: [run] });
    else group.runs.push(run);
  }
  const all = [...groups.values()];
  const names = groupNames(all.map(({ value }) => value));
  const found = joinSmall(all.map((group, at) => [names[at]!, group.runs] as const)).map(([name, inside]) => {
    const oldest = inside.reduce((a, b) =>
      (b.started_at ?? Infinity) < (a.started_at ?? Infinity) ? b : a,
    );
    return {
      name,
      runIds: inside.map((run) => run.run_id),
      slot: oldest.slot,
      color: oldest.color,
    };
  });
  return withOwnSlots(found);
}

/** A text that only equal values have: NaN is not the text "NaN". The order of names does not count. */
function keyOf(value: Value): string {
  if (typeof value === "number" || typeof value === "bigint") return `number ${value}`;
  if (!isValueMap(value)) return Array.isArray(value) ? `[${value.map(keyOf).join()}]` : JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([name, item]) => `${JSON.stringify(name)}:${keyOf(item)}`).join()}}`;
}

/**
 * The names of groups with these values, which are different.
 *
 * Where two would have one name, numbers have all their digits, and texts are in quotes.
 */
export function groupNames(values: readonly Value[]): string[] {
  const short = values.map((value) => (value === null ? "none" : formatValue(value)));
  const counts = new Map<string, number>();
  for (const name of short) counts.set(name, (counts.get(name) ?? 0) + 1);
  const seen = new Map<string, number>();
  return values.map((value, at) => {
    const name = nameOf(value, short[at]!, counts.get(short[at]!)! > 1);
    seen.set(name, (seen.get(name) ?? 0) + 1);
    return seen.get(name)! > 1 ? `${name} (${seen.get(name)})` : name;
  });
}

function nameOf(value: Value, short: string, isShared: boolean): string {
  if (typeof value === "string") return isShared || short.trim() === "" || short.startsWith('"') ? JSON.stringify(value) : short;
  return isShared && value !== null ? formatExact(value) : short;
}

/** The first group of a slot keeps it, later ones get free slots while the palette has some. */
function withOwnSlots(groups: readonly RunGroup[]): RunGroup[] {
  const taken = new Set<number>();
  const isFirst = groups.map(({ slot, color }) => {
    const place = slot % SLOT_COUNT;
    if (color !== "" || taken.has(place)) return color !== "";
    taken.add(place);
    return true;
  });
  let next = 0;
  return groups.map((group, at) => {
    if (isFirst[at]) return group;
    while (next < SLOT_COUNT && taken.has(next)) next++;
    if (next === SLOT_COUNT) return group;
    taken.add(next);
    return { ...group, slot: next };
  });
}

/** Beyond so many groups the smallest are one group: the bands would hide each other. */
function joinSmall<T>(
  groups: readonly (readonly [string, readonly T[]])[],
): [string, readonly T[]][] {
  if (groups.length <= GROUPS_MAX) return groups.map(([name, inside]) => [name, inside]);
  const large = new Set(
    [...groups].sort(([, a], [, b]) => b.length - a.length).slice(0, GROUPS_MAX - 1),
  );
  const small = groups.filter((group) => !large.has(group));
  return [
    ...groups
      .filter((group) => large.has(group))
      .map(([name, inside]): [string, readonly T[]] => [name, inside]),
    [`${small.length} others`, small.flatMap(([, inside]) => inside)],
  ];
}

/** null while nothing is grouped, and until the runs' values of a config key are here. */
export function followGroups(
  project: string,
  key: ReadonlySignal<string>,
  runs: ReadonlySignal<readonly RunOverview[]>,
): { groups: ReadonlySignal<readonly RunGroup[] | null>; stop: () => void } {
  const values = signal<{ key: string; byRun: ReadonlyMap<string, Value | undefined> } | null>(null);
  const isOwn = (name: string): name is (typeof OWN)[number] =>
    (OWN as readonly string[]).includes(name);
  const abort = new AbortController();

  async function load(name: string, wanted: readonly RunOverview[]): Promise<void> {
    const byRun = new Map<string, Value | undefined>();
    const missing = new Set(wanted.map((run) => run.run_id));
    let cursor: string | null = null;
    try {
      do {
        const query = {
          filter: "",
          sort: ["-started"],
          columns: [name],
          limit: PAGE,
          cursor,
          archived: true,
        };
        const page: Awaited<ReturnType<typeof listRuns>> = await listRuns(project, query, {
          signal: abort.signal,
        });
        for (const run of page.runs) {
          const value = columnValue(run, name, now.peek());
          byRun.set(run.run_id, value === "" && isOwnColumn(name) ? null : value);
          missing.delete(run.run_id);
        }
        cursor = page.next_cursor;
      } while (cursor !== null && missing.size > 0);
      values.value = { key: name, byRun };
    } catch (failure) {
      // The runs stay single; the rail's own requests say what is wrong.
      if (!isAborted(failure)) values.value = null;
    }
  }

  const stop = effect(() => {
    const name = key.value;
    if (name === "" || isOwn(name)) return;
    const known = values.peek();
    const isKnown = known?.key === name && runs.value.every((run) => known.byRun.has(run.run_id));
    if (!isKnown && runs.value.length > 0) void load(name, runs.value);
  });
  const groups = computed(() => {
    const name = key.value;
    if (name === "") return null;
    if (isOwn(name)) return groupRuns(runs.value, (run) => run[name] || null);
    const known = values.value;
    if (known?.key !== name) return null;
    return groupRuns(runs.value, (run) => known.byRun.get(run.run_id));
  });
  return { groups, stop: () => (abort.abort(), stop()) };
}
