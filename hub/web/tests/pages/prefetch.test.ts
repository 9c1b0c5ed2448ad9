/** Pictures of the steps beside the one that is shown. */
import { expect, test } from "vitest";

import type { MediaValue } from "../../src/api/types.js";
import { makePrefetcher, neighbours } from "../../src/pages/media/prefetch.js";

const at = (step: number | null) =>
  [{ items: [{ state: "ready", type: "image-file", media_type: "image/png", url: `/b/${step}` }] }] as unknown as MediaValue[];

test("the neighbours of a step are those that have media", () => {
  expect(neighbours([1, 5, 9], 5)).toEqual([null, 1]);
  expect(neighbours([1, 5, 9], 1)).toEqual([5]);
  expect(neighbours([1, 5, 9], null)).toEqual([5]);
  expect(neighbours([1, 5, 9], 9)).toEqual([5]);
  expect(neighbours([1], null)).toEqual([]);
});

test("each picture is read once, and a newer move ends the older one", async () => {
  const read: string[] = [];
  const prefetcher = makePrefetcher((url) => read.push(url));
  await prefetcher.read([1, 2], async (step) => at(step));
  await prefetcher.read([2, 3], async (step) => at(step));
  expect(read).toEqual(["/b/1", "/b/2", "/b/3"]);
  let answer: (values: MediaValue[]) => void = () => undefined;
  const older = prefetcher.read([7], () => new Promise((resolve) => (answer = resolve)));
  const newer = prefetcher.read([8], async (step) => at(step));
  answer(at(7));
  await Promise.all([older, newer]);
  expect(read.slice(3)).toEqual(["/b/8"]);
});

test("a failing question leaves the others", async () => {
  const read: string[] = [];
  const prefetcher = makePrefetcher((url) => read.push(url));
  await prefetcher.read([1, 2], async (step) => {
    if (step === 1) throw new Error("away");
    return at(step);
  });
  expect(read).toEqual(["/b/2"]);
});
