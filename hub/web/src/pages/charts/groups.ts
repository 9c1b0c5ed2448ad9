/** Groups of runs: which there are for a chosen key, with the colour of their oldest run if no other group has it. */
import { computed, effect, signal, type ReadonlySignal } from "@preact/signals";

import { isAborted } from "../../api/errors.js";
import { listRuns } from "../../api/hub.js";
import type { RunOverview } from "../../api/types.js";
import { columnValue } from "../../parts/columnValues.js";
import { formatValue } from "../../parts/format.js";
import { now } from "../../state/clock.js";
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

/** Groups of `runs` by what each one's text is, in order of their first run. */
export function groupRuns(
  runs: readonly RunOverview[],
  textOf: (run: RunOverview) => string,
): RunGroup[] {
  const groups = new Map<string, RunOverview[]>();
  for (const run of runs) groups.set(textOf(run), [...(groups.get(textOf(run)) ?? []), run]);
  const found = joinSmall([...groups]).map(([name, inside]) => {
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
  const values = signal<{ key: string; byRun: ReadonlyMap<string, string> } | null>(null);
  const isOwn = (name: string): name is (typeof OWN)[number] =>
    (OWN as readonly string[]).includes(name);
  const abort = new AbortController();

  async function load(name: string, wanted: readonly RunOverview[]): Promise<void> {
    const byRun = new Map<string, string>();
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
          byRun.set(run.run_id, formatValue(columnValue(run, name, now.peek())));
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
    if (isOwn(name)) return groupRuns(runs.value, (run) => run[name] || "none");
    const known = values.value;
    if (known?.key !== name) return null;
    return groupRuns(runs.value, (run) => known.byRun.get(run.run_id) || "none");
  });
  return { groups, stop: () => (abort.abort(), stop()) };
}
