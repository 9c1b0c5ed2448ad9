/** Data of a run are read again when the run changes. */
import { expect, test } from "vitest";

import { makeFollower, writerFacts } from "../../src/state/follow.js";

test("changes during a request are joined into one more request, which is never cut off", async () => {
  const ends: (() => void)[] = [];
  const follower = makeFollower(() => new Promise<void>((resolve) => void ends.push(resolve)));
  const asked = follower.ask();
  void follower.ask();
  void follower.ask();
  expect(ends.length).toBe(1);
  ends[0]!();
  await Promise.resolve();
  await Promise.resolve();
  expect(ends.length).toBe(2);
  ends[1]!();
  await asked;
  expect(ends.length).toBe(2);
  void follower.ask();
  expect(ends.length).toBe(3);
});

test("a follower that was stopped asks no more", async () => {
  let asked = 0;
  const follower = makeFollower(async () => void asked++);
  follower.stop();
  await follower.ask();
  expect(asked).toBe(0);
});

test("a rank that joins and a heartbeat are changes of the writers", () => {
  const run = { state: "running", writers: 1, last_seen: 5, gap_count: 0, dropped_points: 0 };
  expect(writerFacts({ ...run, writers: 2 })).not.toEqual(writerFacts(run));
  expect(writerFacts({ ...run, last_seen: 6 })).not.toEqual(writerFacts(run));
});
