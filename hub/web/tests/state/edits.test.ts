/** Changes of runs. */
import { expect, test } from "vitest";

import { ApiError } from "../../src/api/errors.js";
import type { RunOverview } from "../../src/api/types.js";
import { deleteRuns } from "../../src/state/edits.js";

const RUNS = ["a", "b", "c", "d"].map((run_id) => ({ project: "p", run_id }) as RunOverview);

test("a deletion that is stopped ends after the run that is on its way", async () => {
  const abort = new AbortController();
  const asked: string[] = [];
  const outcome = await deleteRuns(RUNS, {
    force: false,
    signal: abort.signal,
    onProgress: (done) => done === 2 && abort.abort(),
  }, async (_, runId) => void asked.push(runId));
  expect(asked).toEqual(["a", "b"]);
  expect([...outcome.deleted]).toEqual(["a", "b"]);
  expect(outcome.failure).toBeNull();
});

test("runs that run are left, another failure ends it", async () => {
  const answers: Record<string, Error> = {
    b: new ApiError(409, "run_is_running", "it runs"),
    d: new Error("away"),
  };
  const outcome = await deleteRuns(RUNS, {
    force: false,
    signal: new AbortController().signal,
    onProgress: () => undefined,
  }, async (_, runId) => {
    if (answers[runId]) throw answers[runId];
  });
  expect([...outcome.deleted]).toEqual(["a", "c"]);
  expect(outcome.running.map(({ run_id }) => run_id)).toEqual(["b"]);
  expect(outcome.failure?.message).toBe("away");
});
