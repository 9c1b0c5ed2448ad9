/** The histograms of one metric of one run: asked for, and asked for again when there are more. */
import { signal, type ReadonlySignal } from "@preact/signals";

import { requestResponse } from "../api/client.js";
import { isAborted } from "../api/errors.js";
import { runPath } from "../api/hub.js";
import { decodeHistograms, type HistogramMatrix } from "../engine/histogramFrames.js";

export interface HistogramQuestion {
  readonly project: string;
  readonly runId: string;
  readonly metric: string;
  /** null: of the first writer that has some. */
  readonly label: string | null;
  /** Steps; null: all. */
  readonly first: number | null;
  readonly last: number | null;
  readonly rows: number;
  readonly bins: number;
}

export type AskHistograms = (
  question: HistogramQuestion,
  abort: AbortSignal,
) => Promise<HistogramMatrix>;

export const askHistograms: AskHistograms = async (question, abort) => {
  const { project, runId, metric, label, first, last, rows, bins } = question;
  const body = { metrics: [metric], label, first, last, rows, bins };
  const path = `${runPath(project, runId)}/histograms`;
  const response = await requestResponse("POST", path, { body, signal: abort });
  const [matrix] = decodeHistograms(await response.arrayBuffer());
  if (matrix === undefined) throw new Error("The hub's answer lacks the metric.");
  return matrix;
};

const AGAIN_MS = 1000;

export interface HistogramAsker {
  readonly matrix: ReadonlySignal<HistogramMatrix | null>;
  readonly error: ReadonlySignal<Error | null>;
  /** Ask, where the question is another one. */
  show(question: HistogramQuestion): void;
  /** The hub has this version; Infinity: news may have been missed. */
  changed(version: number): void;
  retry(): void;
  close(): void;
}

/** At most one request at a time, and at most one a second for news. */
export function makeHistogramAsker(
  ask: AskHistograms = askHistograms,
  after: (milliseconds: number, call: () => void) => () => void = afterTimeout,
): HistogramAsker {
  const matrix = signal<HistogramMatrix | null>(null);
  const error = signal<Error | null>(null);
  let question: HistogramQuestion | null = null;
  let running: AbortController | null = null;
  let newest = 0;
  let cancelWait: (() => void) | null = null;

  async function load(): Promise<void> {
    if (question === null) return;
    running?.abort();
    const mine = (running = new AbortController());
    const asked = newest;
    try {
      const found = await ask(question, mine.signal);
      if (running !== mine) return;
      matrix.value = found;
      error.value = null;
      if (asked === Infinity && newest === Infinity) newest = found.version;
    } catch (failure) {
      if (running !== mine || isAborted(failure)) return;
      error.value = failure as Error;
    }
    running = null;
    wait();
  }

  function wait(): void {
    const isBehind = newest > (matrix.peek()?.version ?? 0);
    if (!isBehind || running !== null || cancelWait !== null || error.peek() !== null) return;
    cancelWait = after(AGAIN_MS, () => {
      cancelWait = null;
      void load();
    });
  }

  return {
    matrix,
    error,
    show(next) {
      if (question !== null && JSON.stringify(question) === JSON.stringify(next)) return;
      const isOther =
        question === null || question.runId !== next.runId || question.label !== next.label;
      question = next;
      if (isOther) matrix.value = null;
      void load();
    },
    changed(version) {
      newest = version === Infinity ? Infinity : Math.max(newest === Infinity ? 0 : newest, version);
      error.value = null;
      wait();
    },
    retry() {
      error.value = null;
      void load();
    },
    close() {
      running?.abort();
      running = null;
      cancelWait?.();
    },
  };
}

function afterTimeout(milliseconds: number, call: () => void): () => void {
  const timer = setTimeout(call, milliseconds);
  return () => clearTimeout(timer);
}
