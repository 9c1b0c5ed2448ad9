/** Trials of a sweep: their order, the best so far, and when a sweep may still change. */
import { expect, test } from "vitest";

import type { Sweep, Trial } from "../../src/api/sweeps.js";
import type { ValueMap } from "../../src/api/values.js";
import { stateOf } from "../../src/pages/sweeps/Agents.js";
import { markOf } from "../../src/pages/sweeps/marks.js";
import { shellWord } from "../../src/pages/sweeps/snippets.js";
import { bestSoFar, isActive, paramNames, settledCount, sortAfter, sortTrials, trialStateText, withNews } from "../../src/pages/sweeps/trials.js";
import { pauseAfter } from "../../src/state/polling.js";

function trial(number: number, value: number | null, params: ValueMap = {}): Trial {
  return {
    number, fencing: 1, run_id: `r${number}`, state: "finished", params, value, last: value, steps: number, is_settled: true,
    stop_reason: "", exit_code: 0, agent: "a", created_at: 100, ended_at: 160, attempts: [], is_run_deleted: false,
  };
}

const TRIALS = [
  trial(1, 3, { lr: 0.1, optimizer: { name: "sgd" } }),
  trial(2, null, { lr: 0.02, layers: 2 }),
  trial(3, 1),
  trial(4, Number.NaN),
  trial(5, 2, { lr: 0.3, layers: 10 }),
];

const numbers = (sort: string) => sortTrials(TRIALS, sort, 200).map(({ number }) => number);

test.each([
  ["number", [1, 2, 3, 4, 5]],
  ["-number", [5, 4, 3, 2, 1]],
  ["value", [3, 5, 1, 2, 4]],
  ["-value", [1, 5, 3, 2, 4]],
  ["params.lr", [2, 1, 5, 3, 4]],
  ["-params.layers", [5, 2, 1, 3, 4]],
])("sorted by %s, trials without one are last", (sort, wanted) => {
  expect(numbers(sort)).toEqual(wanted);
});

test("sorted by duration, a running trial took until now", () => {
  const running = { ...trial(2, null), state: "running", ended_at: null } as const;
  const at = (now: number) => sortTrials([running, trial(1, 3)], "duration", now).map(({ number }) => number);
  expect(at(130)).toEqual([2, 1]);
  expect(at(190)).toEqual([1, 2]);
});

test("a click on the value puts the best first, and a second one turns it round", () => {
  expect(sortAfter("-number", "value", "minimize")).toBe("value");
  expect(sortAfter("-number", "value", "maximize")).toBe("-value");
  expect(sortAfter("-value", "value", "maximize")).toBe("value");
  expect(sortAfter("value", "value", "maximize")).toBe("-value");
  expect(sortAfter("value", "number", "minimize")).toBe("-number");
});

test.each([
  ["minimize", [3, 1, 1]],
  ["maximize", [3, 3, 3]],
] as const)("the best so far of a metric to %s, over trials with a value", (goal, wanted) => {
  const points = bestSoFar([...TRIALS].reverse(), goal);
  expect(points.map(({ number }) => number)).toEqual([1, 3, 5]);
  expect(points.map(({ best }) => best)).toEqual(wanted);
});

test("trials that change no more are kept, and what is as it was is the same list", () => {
  const open = { ...trial(2, 4), is_settled: false };
  const before = [trial(1, 3), open, trial(3, 1)];
  expect(settledCount(before)).toBe(1);
  expect(settledCount(TRIALS)).toBe(TRIALS.length);
  expect(withNews(before, 1, [{ ...open }, trial(3, 1)])).toBe(before);
  const after = withNews(before, 1, [{ ...open, value: 2 }, trial(3, 1), trial(4, 9)]);
  expect(after.map(({ value }) => value)).toEqual([3, 2, 1, 9]);
  expect(withNews(before, 1, [open, { ...trial(3, 1), is_run_deleted: true }])).not.toBe(before);
});

test.each([
  ["finished", 1, "finished"],
  ["finished", null, "none"],
  ["running", 1, "running"],
  ["waiting", null, "none"],
  ["stopped", 1, "stopped"],
  ["failed", 1, "failed"],
  ["crashed", null, "failed"],
] as const)("a trial that is %s with value %j is marked as %s", (state, value, mark) => {
  expect(markOf({ ...trial(1, value), state })).toBe(mark);
});

test("an agent that reported its end is ended, another without heartbeats is gone or silent", () => {
  const agent = { id: "a", host: "h", pid: 1, kind: "command", created_at: 1, seen_at: 2 } as const;
  const word = (is_alive: boolean, ended_at: number | null, hasTrial: boolean) =>
    stateOf({ ...agent, is_alive, ended_at }, hasTrial)[1];
  expect([word(true, null, true), word(true, null, false)]).toEqual(["runs a trial", "waits"]);
  expect([word(false, null, true), word(false, null, false)]).toEqual(["silent", "gone"]);
  expect(word(false, 2, false)).toBe("ended");
});

test("nested parameters are columns by their paths, each once", () => {
  expect(paramNames(TRIALS)).toEqual(["lr", "optimizer.name", "layers"]);
});

test("a sweep that is over is asked for until its last values are there", () => {
  const counts = { running: 0, waiting: 0, finished: 2, failed: 0, crashed: 0, stopped: 0, superseded: 0 };
  const sweep = { state: "finished", counts, updated_at: 1000 } as Sweep;
  expect(isActive(sweep, 1059)).toBe(true);
  expect(isActive(sweep, 1061)).toBe(false);
  expect(isActive({ ...sweep, state: "paused" }, 9999)).toBe(true);
  expect(isActive({ ...sweep, counts: { ...counts, running: 1 } }, 9999)).toBe(true);
});

test("an answer that takes long is asked for less often", () => {
  expect(pauseAfter(5)).toBe(2000);
  expect(pauseAfter(900)).toBe(9000);
});

test.each([["digits", "digits"], ["a b", "'a b'"], ["it's", String.raw`'it'\''s'`], ["-x", "'-x'"], ["", "''"]])(
  "%j in a command line",
  (text, wanted) => expect(shellWord(text)).toBe(wanted),
);

test("a failed trial shows its exit code", () => {
  expect(trialStateText({ ...trial(1, null), state: "failed", exit_code: 3 })).toBe("failed, exit code 3");
  expect(trialStateText({ ...trial(1, null), state: "failed", exit_code: null })).toBe("failed");
  expect(trialStateText({ ...trial(1, 2), state: "stopped", exit_code: 143 })).toBe("stopped");
});
