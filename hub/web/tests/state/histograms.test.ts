/** Asking for histograms: one request at a time, and again only when there are more. */
import { describe, expect, it } from "vitest";

import type { HistogramMatrix } from "../../src/engine/histogramFrames.js";
import { makeHistogramAsker, type HistogramQuestion } from "../../src/state/histograms.js";
import { matrixOf } from "../engine/histograms.js";

const QUESTION: HistogramQuestion = {
  ...{ project: "p", runId: "a", metric: "w", label: null },
  ...{ first: null, last: null, rows: 64, bins: 64 },
};

function bench() {
  const asked: {
    question: HistogramQuestion;
    abort: AbortSignal;
    answer(matrix: HistogramMatrix): Promise<void>;
    fail(error: Error): Promise<void>;
  }[] = [];
  const waiting: (() => void)[] = [];
  const settled = () => new Promise<void>((done) => setTimeout(done, 0));
  const asker = makeHistogramAsker(
    (question, abort) =>
      new Promise((resolve, reject) => {
        asked.push({
          question,
          abort,
          answer: (matrix) => (resolve(matrix), settled()),
          fail: (error) => (reject(error), settled()),
        });
      }),
    (_, call) => {
      waiting.push(call);
      return () => waiting.splice(waiting.indexOf(call), 1);
    },
  );
  return { asker, asked, tick: () => waiting.shift()?.() };
}

const held = (version: number) => matrixOf([1], [[1]], { version });

describe("histograms of a panel", () => {
  it("are asked for once for one question", async () => {
    const { asker, asked } = bench();
    asker.show(QUESTION);
    asker.show({ ...QUESTION });
    await asked[0]!.answer(held(3));
    expect(asked.length).toBe(1);
    expect(asker.matrix.value!.version).toBe(3);
  });

  it("stay while another range is on its way, and go for another run", async () => {
    const { asker, asked } = bench();
    asker.show(QUESTION);
    await asked[0]!.answer(held(3));
    asker.show({ ...QUESTION, first: 5 });
    expect(asker.matrix.value).not.toBeNull();
    asker.show({ ...QUESTION, runId: "b" });
    expect(asker.matrix.value).toBeNull();
    expect(asked[1]!.abort.aborted).toBe(true);
    await asked[1]!.answer(held(9));
    expect(asker.matrix.value).toBeNull();
  });

  it("are asked for again for news, after a while, and not for old news", async () => {
    const { asker, asked, tick } = bench();
    asker.show(QUESTION);
    asker.changed(4);
    await asked[0]!.answer(held(3));
    tick();
    expect(asked.length).toBe(2);
    await asked[1]!.answer(held(5));
    asker.changed(5);
    tick();
    expect(asked.length).toBe(2);
    asker.changed(6);
    asker.changed(7);
    tick();
    tick();
    expect(asked.length).toBe(3);
  });

  it("are asked for again when news may have been missed, once", async () => {
    const { asker, asked, tick } = bench();
    asker.show(QUESTION);
    await asked[0]!.answer(held(3));
    asker.changed(Infinity);
    tick();
    await asked[1]!.answer(held(3));
    tick();
    expect(asked.length).toBe(2);
  });

  it("say what went wrong, and are asked for again by hand or with news", async () => {
    const { asker, asked, tick } = bench();
    asker.show(QUESTION);
    await asked[0]!.fail(new Error("away"));
    expect(asker.error.value!.message).toBe("away");
    asker.retry();
    expect(asker.error.value).toBeNull();
    await asked[1]!.fail(new Error("away"));
    asker.changed(1);
    tick();
    await asked[2]!.answer(held(1));
    expect([asker.error.value, asker.matrix.value!.version]).toEqual([null, 1]);
  });

  it("are no longer asked for when the panel is gone", async () => {
    const { asker, asked, tick } = bench();
    asker.show(QUESTION);
    asker.close();
    await asked[0]!.answer(held(1));
    tick();
    expect([asked.length, asker.matrix.value]).toEqual([1, null]);
  });
});
