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
  const { x, first, last, buckets, groups } = question;
  const window = { items, x, first, last, buckets };
  if (groups === null) return { runs: ids, ...window, labels: "join" };
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
  if (response.body === null) return;
  const chunks = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await chunks.read();
      if (done) break;
      yield* reader.push(value);
    }
  } catch (failure) {
    // The connection broke inside the answer, which fetch reports as a TypeError.
    if (failure instanceof TypeError && !isAborted(failure))
      throw new HubUnreachableError(failure.message);
    throw failure;
  } finally {
    chunks.releaseLock();
  }
  reader.end();
}
