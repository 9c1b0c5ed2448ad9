/** Requests for series: frames, read while they arrive. */
import { FrameReader, type SeriesFrame } from "../engine/frames.js";
import type { AskSeries, SeriesItem, SeriesQuestion } from "./frameCache.js";
import { pathFrom, requestResponse } from "../api/client.js";
import { HubUnreachableError, isAborted } from "../api/errors.js";

/** Series of runs, or bands where the question has groups. */
export const askSeries: AskSeries = (question, ids, items, abort) => {
  const path = pathFrom(
    "projects",
    question.project,
    question.groups === null ? "series" : "bands",
  );
  return askFrames(path, bodyOf(question, ids, items), abort);
};

function bodyOf(
  question: SeriesQuestion,
  ids: readonly string[],
  items: readonly SeriesItem[],
): object {
  const { x, first, last, buckets, ranks, groups } = question;
  const window = { items, x, first, last, buckets };
  if (groups === null) return { runs: ids, ...window, labels: ranks === "apart" ? "apart" : "join" };
  return { groups: Object.fromEntries(ids.map((id) => [id, groups[id] ?? []])), ...window };
}

/** Frames of an answer, each as soon as it is whole. */
export async function* askFrames(
  path: string,
  body: unknown,
  abort: AbortSignal,
): AsyncGenerator<SeriesFrame> {
  const response = await requestResponse("POST", path, { body, signal: abort });
  const reader = new FrameReader();
  try {
    for await (const piece of pieces(response)) yield* reader.push(piece);
  } catch (failure) {
    // The connection broke inside the answer, which fetch reports as a TypeError.
    if (failure instanceof TypeError && !isAborted(failure))
      throw new HubUnreachableError(failure.message);
    throw failure;
  }
  reader.end();
}

/**
 * An answer whose length is known comes at once: chromium reports a request whose answer is read
 * piece by piece as aborted, though it is complete. A longer one is drawn while it arrives.
 */
async function* pieces(response: Response): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  if (response.body === null) return;
  if (response.headers.has("Content-Length")) return void (yield new Uint8Array(await response.arrayBuffer()));
  const chunks = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await chunks.read();
      if (done) return;
      yield value;
    }
  } finally {
    chunks.releaseLock();
  }
}
