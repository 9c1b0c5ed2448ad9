/** The cache of series: what is asked, how often, and what stays on the screen. */
import { describe, expect, it } from "vitest";

import type { BucketSeries, SeriesFrame } from "../../src/engine/frames.js";
import {
  FrameCache,
  type Need,
  type SeriesItem,
  type SeriesQuestion,
} from "../../src/state/frameCache.js";
import { bucketed, steps } from "../engine/series.js";

const STEPS: SeriesQuestion = {
  project: "p",
  x: "step",
  first: null,
  last: null,
  buckets: 512,
  ranks: "mean",
  groups: null,
};

interface Asked {
  ids: readonly string[];
  items: readonly SeriesItem[];
  question: SeriesQuestion;
  abort: AbortSignal;
  /** Give the frames and end the answer. */
  answer(frames: SeriesFrame[]): Promise<void>;
  fail(reason: Error): Promise<void>;
}

function hub(options = {}) {
  const asked: Asked[] = [];
  const cache = new FrameCache(async function* (question, ids, items, abort) {
    let resolve: (frames: SeriesFrame[]) => void = () => undefined;
    let reject: (reason: Error) => void = () => undefined;
    const promise = new Promise<SeriesFrame[]>((yes, no) => ([resolve, reject] = [yes, no]));
    abort.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
    const settled = async () => {
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    };
    asked.push({
      question,
      ids,
      items,
      abort,
      answer: (frames) => (resolve(frames), settled()),
      fail: (reason) => (reject(reason), settled()),
    });
    yield* await promise;
  }, options);
  return { cache, asked };
}

async function turn(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

function frame(
  item: number,
  metric: string,
  series: BucketSeries[],
  error: SeriesFrame["error"] = null,
): SeriesFrame {
  return { item, metric, x: "step", level: 0, width: 1, points: 0, series, error };
}

function need(metric: string, ids: string[], more: Partial<Need> = {}): Need {
  return { question: STEPS, metric, ids, isVisible: true, ...more };
}

const line = (run: string, values: number[]) => bucketed(steps(values), 0, run);

describe("asking", () => {
  it("puts all panels into one request, and asks nothing twice", async () => {
    const { cache, asked } = hub();
    cache.need({}, need("a", ["r1", "r2"]));
    cache.need({}, need("b", ["r1", "r2"]));
    await turn();
    cache.need({}, need("a", ["r1"]));
    await turn();
    expect(asked).toHaveLength(1);
    expect(asked[0]!.ids).toEqual(["r1", "r2"]);
    expect(asked[0]!.items).toEqual([{ metric: "a" }, { metric: "b" }]);
  });

  it("starts with what is visible", async () => {
    const { cache, asked } = hub({ runningMax: 1 });
    cache.need({}, need("below", ["r1"], { isVisible: false }));
    cache.need({}, need("seen", ["r1"]));
    await turn();
    expect(asked.map(({ items }) => items[0]!.metric)).toEqual(["seen"]);
    await asked[0]!.answer([frame(0, "seen", [])]);
    expect(asked[1]!.items[0]!.metric).toBe("below");
  });

  it("asks for an added run alone", async () => {
    const { cache, asked } = hub();
    const panel = {};
    cache.need(panel, need("a", ["r1"]));
    await turn();
    await asked[0]!.answer([frame(0, "a", [line("r1", [1])])]);
    cache.need(panel, need("a", ["r1", "r2"]));
    await turn();
    expect(asked[1]!.ids).toEqual(["r2"]);
    await asked[1]!.answer([frame(0, "a", [line("r2", [2])])]);
    expect([...cache.read(STEPS, "a").series.keys()]).toEqual(["r1", "r2"]);
  });

  it("keeps at most so many requests open, and so many series in each", async () => {
    const { cache, asked } = hub({ runningMax: 2, seriesMax: 4 });
    for (const metric of ["a", "b", "c", "d", "e", "f", "g"])
      cache.need({}, need(metric, ["r1", "r2"]));
    await turn();
    expect(asked.map(({ items }) => items.length)).toEqual([2, 2]);
    await asked[0]!.answer([frame(0, "a", []), frame(1, "b", [])]);
    expect(asked).toHaveLength(3);
  });

  it("asks again for what grew while an aborted request was on its way", async () => {
    const { cache, asked } = hub();
    const panel = {};
    cache.need(panel, need("loss", ["a"]));
    await turn();
    await asked[0]!.answer([frame(0, "loss", [line("a", [1, 2])])]);
    cache.changed("p", [{ run_id: "a", metric: "loss", version: 5 }]);
    await turn();
    expect(asked).toHaveLength(2);
    cache.need(panel, null);
    await turn();
    expect(asked[1]!.abort.aborted).toBe(true);
    cache.need(panel, need("loss", ["a"]));
    await turn();
    expect(asked).toHaveLength(3);
  });

  it("asks again after a failure when news come", async () => {
    const { cache, asked } = hub();
    cache.need({}, need("loss", ["a"]));
    await turn();
    await asked[0]!.fail(new Error("the store is away"));
    expect(cache.read(STEPS, "loss").error).not.toBeNull();
    cache.changed("p", [{ run_id: "a", metric: "loss", version: 5 }]);
    await turn();
    expect(asked).toHaveLength(2);
    expect(cache.read(STEPS, "loss").error).toBeNull();
  });

  it("remembers that a run has no points", async () => {
    const { cache, asked } = hub();
    cache.need({}, need("a", ["r1"]));
    await turn();
    await asked[0]!.answer([frame(0, "a", [])]);
    cache.need({}, need("a", ["r1"]));
    await turn();
    expect(asked).toHaveLength(1);
    expect(cache.read(STEPS, "a").isWaiting).toBe(false);
  });

  it("aborts what no panel needs any more", async () => {
    const { cache, asked } = hub();
    const panel = {};
    cache.need(panel, need("a", ["r1"]));
    await turn();
    cache.need(panel, need("a", ["r1"], { question: { ...STEPS, first: 10, last: 20 } }));
    await turn();
    expect(asked.map(({ abort }) => abort.aborted)).toEqual([true, false]);
    cache.need(panel, need("a", ["r1"]));
    await turn();
    expect(asked[2]!.question).toBe(STEPS);
  });
});

describe("another metric on x", () => {
  it("makes its panels ask again when it gets a value", async () => {
    const { cache, asked } = hub();
    const question = { ...STEPS, x: "metric:epoch" };
    cache.need({}, need("a", ["r1", "r2"], { question }));
    cache.need({}, need("b", ["r1", "r2"]));
    await turn();
    for (const one of asked)
      await one.answer([frame(0, one.items[0]!.metric, [line("r1", [1]), line("r2", [1])])]);
    expect(asked).toHaveLength(2);
    cache.changed("p", [{ run_id: "r1", metric: "epoch", version: 3 }]);
    await turn();
    expect(asked).toHaveLength(3);
    expect([asked[2]!.ids, asked[2]!.items[0]!.metric]).toEqual([["r1"], "a"]);
  });
});

describe("news", () => {
  async function filled() {
    const made = hub();
    made.cache.need({}, need("a", ["r1", "r2"]));
    await turn();
    await made.asked[0]!.answer([frame(0, "a", [line("r1", [1, 2, 3]), line("r2", [5])])]);
    return made;
  }

  it("make the cache ask for the tail of the run that grew", async () => {
    const { cache, asked } = await filled();
    cache.changed("p", [{ run_id: "r1", metric: "a", version: 5 }]);
    await turn();
    expect(asked[1]!.ids).toEqual(["r1"]);
    expect(asked[1]!.items[0]!.have).toEqual([
      { run_id: "r1", label: "", version: 3, level: 0, tail: 2, head_count: 2 },
    ]);
    const tail = {
      ...bucketed(
        [2, 3, 4].map((x) => ({ x, value: x * 10 })),
        0,
        "r1",
      ),
      tail: true,
      version: 5,
    };
    await asked[1]!.answer([frame(0, "a", [tail])]);
    const [grown] = cache.read(STEPS, "a").series.get("r1")!;
    expect([...grown!.mean]).toEqual([1, 2, 20, 30, 40]);
    expect(grown!.version).toBe(5);
    expect([...cache.read(STEPS, "a").series.get("r2")![0]!.mean]).toEqual([5]);
  });

  it("that are held already are ignored, as are other projects and metrics", async () => {
    const { cache, asked } = await filled();
    cache.changed("p", [
      { run_id: "r1", metric: "a", version: 3 },
      { run_id: "r1", metric: "b", version: 9 },
    ]);
    cache.changed("q", [{ run_id: "r1", metric: "a", version: 9 }]);
    await turn();
    expect(asked).toHaveLength(1);
  });

  it("during a request lead to one more request", async () => {
    const { cache, asked } = await filled();
    cache.changed("p", [{ run_id: "r1", metric: "a", version: 5 }]);
    await turn();
    cache.changed("p", [{ run_id: "r1", metric: "a", version: 6 }]);
    await turn();
    expect(asked).toHaveLength(2);
    await asked[1]!.answer([frame(0, "a", [line("r1", [1, 2, 3, 4, 5])])]);
    expect(asked).toHaveLength(3);
    await asked[2]!.answer([frame(0, "a", [line("r1", [1, 2, 3, 4, 5, 6])])]);
    expect(asked).toHaveLength(3);
  });

  it("during the first request count unless its answer has them", async () => {
    const { cache, asked } = hub();
    cache.need({}, need("a", ["r1", "r2"]));
    await turn();
    const news = (run_id: string, version: number) => ({ run_id, metric: "a", version });
    cache.changed("p", [news("r1", 2), news("r2", 2)]);
    await asked[0]!.answer([frame(0, "a", [line("r1", [1, 2]), line("r2", [1])])]);
    expect(asked.map(({ ids }) => ids)).toEqual([["r1", "r2"], ["r2"]]);
  });

  it("never make a loop, even when the answer is older than the news", async () => {
    const { cache, asked } = await filled();
    cache.changed("p", [{ run_id: "r1", metric: "a", version: 99 }]);
    await turn();
    await asked[1]!.answer([frame(0, "a", [line("r1", [1, 2, 3])])]);
    expect(asked).toHaveLength(2);
  });

  it("of runs of a group ask for the group anew", async () => {
    const { cache, asked } = hub();
    const question = { ...STEPS, groups: { small: ["r1", "r2"], large: ["r3"] } };
    cache.need({}, need("a", ["small", "large"], { question }));
    await turn();
    const band = (group: string) => ({ ...line("", [1]), group });
    await asked[0]!.answer([frame(0, "a", [band("small"), band("large")])]);
    cache.changed("p", [{ run_id: "r2", metric: "a", version: 5 }]);
    await turn();
    expect(asked[1]!.ids).toEqual(["small"]);
    expect(asked[1]!.items).toEqual([{ metric: "a" }]);
  });

  it("that may have been missed make everything be asked by its tail", async () => {
    const { cache, asked } = await filled();
    cache.changedAll();
    await turn();
    expect(asked[1]!.ids).toEqual(["r1", "r2"]);
    expect(asked[1]!.items[0]!.have).toHaveLength(2);
  });
});

it("a run whose id is used again is asked for as a whole, and so are its groups", async () => {
  const { cache, asked } = hub();
  const grouped = { ...STEPS, groups: { x: ["a", "b"], y: ["c"] } };
  cache.need({}, need("loss", ["a", "b"]));
  cache.need({}, need("loss", ["x", "y"], { question: grouped }));
  await turn();
  await asked[0]!.answer([frame(0, "loss", [line("a", [1, 2, 3]), line("b", [1])])]);
  await asked[1]!.answer([frame(0, "loss", [])]);
  cache.forget("other", "a");
  await turn();
  expect(asked).toHaveLength(2);
  cache.forget("p", "a");
  expect([...cache.read(STEPS, "loss").series.keys()]).toEqual(["b"]);
  await turn();
  const again = asked.slice(2).map(({ ids, items }) => [ids, items]);
  expect(again).toEqual([
    [["a"], [{ metric: "loss" }]],
    [["x"], [{ metric: "loss" }]],
  ]);
});

it("keeps no answer for a run that was forgotten while the answer was on its way", async () => {
  const { cache, asked } = hub();
  cache.need({}, need("loss", ["a", "b"]));
  await turn();
  cache.forget("p", "a");
  await turn();
  expect(asked).toHaveLength(1);
  await asked[0]!.answer([frame(0, "loss", [line("a", [1, 2, 3]), line("b", [1])])]);
  expect([...cache.read(STEPS, "loss").series.keys()]).toEqual(["b"]);
  expect(asked[1]!.ids).toEqual(["a"]);
  await asked[1]!.answer([frame(0, "loss", [line("a", [7])])]);
  expect(cache.read(STEPS, "loss").series.get("a")![0]!.version).toBe(1);
  expect(asked).toHaveLength(2);
});

it("keeps no tail for a run that was forgotten while the tail was on its way", async () => {
  const { cache, asked } = hub();
  cache.need({}, need("loss", ["a"]));
  await turn();
  await asked[0]!.answer([frame(0, "loss", [line("a", [1, 2, 3])])]);
  cache.changed("p", [{ run_id: "a", metric: "loss", version: 4 }]);
  await turn();
  expect(asked[1]!.items[0]!.have).toBeDefined();
  cache.forget("p", "a");
  await turn();
  await asked[1]!.answer([frame(0, "loss", [{ ...line("a", [1, 2, 3, 4]), tail: true }])]);
  expect(cache.read(STEPS, "loss").series.size).toBe(0);
  expect(asked[2]!.items).toEqual([{ metric: "loss" }]);
  await asked[2]!.answer([frame(0, "loss", [line("a", [7])])]);
  expect(cache.read(STEPS, "loss").series.get("a")![0]!.version).toBe(1);
  // The new run has fewer points than the old one, and its news count.
  cache.changed("p", [{ run_id: "a", metric: "loss", version: 2 }]);
  await turn();
  expect(asked).toHaveLength(4);
});

describe("failures", () => {
  it("keep what was there, are shown, and are not asked again by themselves", async () => {
    const { cache, asked } = hub();
    cache.need({}, need("a", ["r1"]));
    cache.need({}, need("b", ["r1"]));
    await turn();
    await asked[0]!.answer([frame(0, "a", [line("r1", [1])])]);
    expect(cache.read(STEPS, "a").error).toBeNull();
    expect(cache.read(STEPS, "b").error?.message).toMatch(/lacks a requested/);
    cache.changed("p", [{ run_id: "r1", metric: "a", version: 2 }]);
    await turn();
    await asked[1]!.fail(new Error("gone"));
    expect(cache.read(STEPS, "a").error?.message).toBe("gone");
    expect(cache.read(STEPS, "a").series.get("r1")).toBeDefined();
    expect(asked).toHaveLength(2);
    cache.retry(STEPS, "a");
    await turn();
    expect(asked).toHaveLength(3);
  });

  it("of one item leave the others alone", async () => {
    const { cache, asked } = hub();
    cache.need({}, need("a", ["r1"]));
    cache.need({}, need("b", ["r1"]));
    await turn();
    const slow = frame(0, "a", [], { code: "query_timeout", message: "too slow" });
    await asked[0]!.answer([slow, frame(1, "b", [line("r1", [1])])]);
    expect(cache.read(STEPS, "a").error?.message).toBe("too slow");
    expect(cache.read(STEPS, "b").error).toBeNull();
  });
});

it("what was used longest ago is dropped beyond the bytes, but nothing that is needed", async () => {
  const { cache, asked } = hub({ bytesMax: 3000 });
  const panels = ["a", "b", "c"].map((metric) => {
    const panel = {};
    cache.need(panel, need(metric, ["r1"]));
    return panel;
  });
  await turn();
  const long = () =>
    line(
      "r1",
      Array.from({ length: 60 }, (_, i) => i),
    );
  cache.need(panels[0]!, null);
  await asked[0]!.answer([
    frame(0, "a", [long()]),
    frame(1, "b", [long()]),
    frame(2, "c", [long()]),
  ]);
  expect(cache.read(STEPS, "a").series.size).toBe(0);
  expect(cache.read(STEPS, "b").series.size).toBe(1);
  expect(cache.read(STEPS, "c").series.size).toBe(1);
});
