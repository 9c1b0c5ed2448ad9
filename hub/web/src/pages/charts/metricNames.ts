/** The names of metrics that a board shows, searched by the hub, all pages of them. */
import { batch, signal, type ReadonlySignal } from "@preact/signals";

import { isAborted } from "../../api/errors.js";
import { listHistograms, listMetrics } from "../../api/hub.js";

const PAGE = 5000;
/** More panels than this is a search that is not narrow enough; it is said on the page. */
export const NAMES_MAX = 20_000;
/** With more runs the names of the whole project are shown. */
const RUNS_MAX = 60;

export interface MetricNames {
  /** null before the first answer. */
  readonly names: ReadonlySignal<readonly string[] | null>;
  /** By name, the metric over which define_metric has it drawn, where it said so. */
  readonly stepMetrics: ReadonlySignal<ReadonlyMap<string, string>>;
  /** Those of them that have histograms in place of points. */
  readonly histograms: ReadonlySignal<ReadonlySet<string>>;
  readonly error: ReadonlySignal<Error | null>;
  /** True: there are more names than NAMES_MAX. */
  readonly isCut: ReadonlySignal<boolean>;
  show(search: string, runIds: readonly string[]): void;
  refresh(): void;
  close(): void;
}

export function makeMetricNames(project: string): MetricNames {
  const names = signal<readonly string[] | null>(null);
  const error = signal<Error | null>(null);
  const histograms = signal<ReadonlySet<string>>(new Set());
  const stepMetrics = signal<ReadonlyMap<string, string>>(new Map());
  const isCut = signal(false);
  let asked: { search: string; run_id: readonly string[] } | null = null;
  let running: AbortController | null = null;

  async function load(): Promise<void> {
    if (asked === null) return;
    running?.abort();
    const mine = (running = new AbortController());
    const read: string[] = [];
    const steps = new Map<string, string>();
    let cursor: string | null = null;
    const question = asked;
    const others = readHistograms(project, question, mine.signal);
    // A failure of the first pages is reported below; this one must not be unhandled meanwhile.
    others.catch(() => undefined);
    try {
      do {
        const page: Awaited<ReturnType<typeof listMetrics>> = await listMetrics(
          project,
          { ...question, limit: PAGE, cursor },
          { signal: mine.signal },
        );
        for (const { metric, step_metric } of page.metrics) {
          read.push(metric);
          if (step_metric !== null) steps.set(metric, step_metric);
        }
        cursor = page.next_cursor;
        // The first page is shown at once; the rest joins it while the first panels draw.
        if (names.peek() === null && read.length > 0)
          batch(() => {
            stepMetrics.value = new Map(steps);
            names.value = [...read];
          });
      } while (cursor !== null && read.length < NAMES_MAX);
      const points = new Set(read);
      const found = (await others).filter((name) => !points.has(name));
      read.push(...found);
      batch(() => {
        if (!sameNames([...histograms.peek()], found)) histograms.value = new Set(found);
        if (!sameSteps(stepMetrics.peek(), steps)) stepMetrics.value = steps;
        if (!sameNames(names.peek(), read)) names.value = read;
        isCut.value = cursor !== null;
        error.value = null;
      });
    } catch (failure) {
      if (running === mine && !isAborted(failure)) error.value = failure as Error;
    }
  }

  return {
    names,
    stepMetrics,
    histograms,
    error,
    isCut,
    show(search, runIds) {
      const next = { search, run_id: runIds.length <= RUNS_MAX ? runIds : [] };
      if (asked !== null && JSON.stringify(asked) === JSON.stringify(next)) return;
      asked = next;
      void load();
    },
    refresh: () => void load(),
    close: () => running?.abort(),
  };
}

async function readHistograms(
  project: string,
  asked: { search: string; run_id: readonly string[] },
  abort: AbortSignal,
): Promise<string[]> {
  const read: string[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof listHistograms>> = await listHistograms(
      project,
      { ...asked, limit: PAGE, cursor },
      { signal: abort },
    );
    read.push(...page.histograms.map(({ metric }) => metric));
    cursor = page.next_cursor;
  } while (cursor !== null && read.length < NAMES_MAX);
  return read;
}

function sameNames(a: readonly string[] | null, b: readonly string[]): boolean {
  return a !== null && a.length === b.length && a.every((name, i) => name === b[i]);
}

function sameSteps(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([metric, step]) => b.get(metric) === step);
}
