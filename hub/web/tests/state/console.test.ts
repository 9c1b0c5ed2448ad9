/** The window of console lines. */
import { expect, test } from "vitest";

import type { ConsoleQuery } from "../../src/api/hub.js";
import type { ConsoleLine, ConsolePage } from "../../src/api/types.js";
import { LINES_MAX, makeConsole } from "../../src/state/console.js";

const VIEW = { search: "", stream: "", label: "" };

/** A hub whose cursors are line numbers. */
function hub(count: number) {
  let end = count;
  const line = (number: number) => ({ id: String(number), cursor: String(number), time: number, number, text: `line ${number}` }) as ConsoleLine;
  const range = (from: number, to: number) =>
    Array.from({ length: Math.max(0, to - from) }, (_, at) => line(from + at));
  const ask = async (query: ConsoleQuery): Promise<ConsolePage> => {
    const limit = query.limit ?? 0;
    let [from, to] = [end - limit, end];
    if (query.before) [from, to] = [Number(query.before) - limit, Number(query.before)];
    if (query.after) [from, to] = [Number(query.after) + 1, Math.min(end, Number(query.after) + 1 + limit)];
    if (query.around_time != null) [from, to] = [query.around_time - limit / 2, query.around_time + limit / 2];
    const lines = range(Math.max(0, from), Math.min(end, to));
    const first = lines[0]?.number ?? 0;
    return { lines, before: first > 0 ? String(first) : null, after: lines.at(-1)?.cursor ?? null, total: end };
  };
  return { ask, grow: (by: number) => (end += by) };
}

const numbers = (lines: readonly ConsoleLine[]) => lines.map((line) => line.number);
const isWhole = (all: number[]) => all.every((number, at) => at === 0 || number === (all[at - 1] as number) + 1);

test("it starts at the end and grows backwards to the first line", async () => {
  const state = makeConsole(hub(2500).ask);
  await state.show(VIEW);
  expect(numbers(state.lines.value).at(-1)).toBe(2499);
  while (state.hasEarlier.value) await state.loadEarlier();
  expect(numbers(state.lines.value)).toHaveLength(2500);
  expect(isWhole(numbers(state.lines.value))).toBe(true);
});

test("new lines join at the end, none twice", async () => {
  const { ask, grow } = hub(10);
  const state = makeConsole(ask);
  await state.show(VIEW);
  await state.loadLater();
  grow(5);
  await state.loadLater();
  expect(numbers(state.lines.value)).toEqual(Array.from({ length: 15 }, (_, at) => at));
  expect(state.hasLater.value).toBe(false);
});

test("a moment in the middle can be read on in both directions", async () => {
  const state = makeConsole(hub(6000).ask);
  await state.show(VIEW, 3000);
  expect([state.hasEarlier.value, state.hasLater.value]).toEqual([true, true]);
  while (state.hasLater.value) await state.loadLater();
  while (state.hasEarlier.value) await state.loadEarlier();
  expect(numbers(state.lines.value)).toHaveLength(6000);
  expect(isWhole(numbers(state.lines.value))).toBe(true);
});

test("the lines that are kept are bounded, and what gave way can be read again", async () => {
  const state = makeConsole(hub(LINES_MAX + 3000).ask);
  await state.show(VIEW);
  while (state.hasEarlier.value) await state.loadEarlier();
  expect(state.lines.value).toHaveLength(LINES_MAX);
  expect([numbers(state.lines.value)[0], state.hasLater.value]).toEqual([0, true]);
  while (state.hasLater.value) await state.loadLater();
  expect(numbers(state.lines.value).at(-1)).toBe(LINES_MAX + 2999);
  expect(isWhole(numbers(state.lines.value))).toBe(true);
  expect(state.hasEarlier.value).toBe(true);
});

test("a run without lines that gets its first is followed", async () => {
  const { ask, grow } = hub(0);
  const state = makeConsole(ask);
  await state.show(VIEW);
  grow(3);
  await state.loadLater();
  expect(numbers(state.lines.value)).toEqual([0, 1, 2]);
});

/** A hub that answers one page after the other. */
function pages(...answers: { lines: ConsoleLine[]; before?: string | null; total?: number }[]) {
  let at = 0;
  return async (): Promise<ConsolePage> => {
    const answer = answers[Math.min(at++, answers.length - 1)];
    return { before: null, after: `after ${at}`, total: null, lines: [], ...answer };
  };
}

const line = (id: string, time: number, text = id): ConsoleLine =>
  ({ id, cursor: `${id} ${time}`, stream: "stdout", label: "", number: 0, time, text });

const words = (lines: readonly ConsoleLine[]) => lines.map((each) => each.text);

test("a late line of another rank comes between the lines that are there", async () => {
  const state = makeConsole(
    pages({ lines: [line("a", 1), line("c", 3)], total: 2 }, { lines: [line("b", 2), line("d", 4)] }),
  );
  await state.show(VIEW);
  await state.loadLater();
  expect(words(state.lines.value)).toEqual(["a", "b", "c", "d"]);
  expect(state.total.value).toBe(4);
});

test("a line that is written anew takes its own place's place, and is counted once", async () => {
  const state = makeConsole(
    pages({ lines: [line("bar", 1, "5 %"), line("c", 3)], total: 2 }, { lines: [line("bar", 9, "100 %")] }),
  );
  await state.show(VIEW);
  await state.loadLater();
  expect(words(state.lines.value)).toEqual(["c", "100 %"]);
  expect(state.total.value).toBe(2);
});

test("a late line from before the first is left to the earlier lines", async () => {
  const state = makeConsole(
    pages({ lines: [line("c", 3)], total: 2, before: "c 3" }, { lines: [line("b", 2)] }, { lines: [line("a", 1), line("b", 2)] }),
  );
  await state.show(VIEW);
  await state.loadLater();
  expect(words(state.lines.value)).toEqual(["c"]);
  await state.loadEarlier();
  expect(words(state.lines.value)).toEqual(["a", "b", "c"]);
});
