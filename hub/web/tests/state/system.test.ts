/** What the nodes of a run measured. */
import { expect, test } from "vitest";

import type { SeriesFrame } from "../../src/engine/frames.js";
import { makeSystem, nodeSeriesName } from "../../src/state/system.js";

const frame = (metric: string, series: object[] = [{}], error: object | null = null) =>
  ({ metric, series, error }) as unknown as SeriesFrame;

const noDevices = () => Promise.resolve({ devices: [], source: "node" } as const);

function hub(frames: SeriesFrame[]) {
  const asked: unknown[] = [];
  async function* ask(path: string, body: unknown) {
    asked.push([path, body]);
    yield* frames;
  }
  return { ask, asked };
}

test("all metrics come in one request, with totals last", async () => {
  const { ask, asked } = hub([frame("memory/used"), frame("cpu/read_total"), frame("cpu/ratio"), frame("gone", [])]);
  const state = makeSystem("p", "r", ask, noDevices);
  await state.load();
  expect([...(state.metrics.value?.keys() ?? [])]).toEqual(["cpu/ratio", "memory/used", "cpu/read_total"]);
  expect(asked).toEqual([["/projects/p/runs/r/system", { first: null, last: null, buckets: 512, devices: "run" }]]);
});

test("a zoom is asked for in seconds", async () => {
  const { ask, asked } = hub([]);
  const state = makeSystem("p", "r", ask, noDevices);
  state.zoomTo([2_000_000, 5_500_000]);
  await state.load();
  expect(asked.at(-1)).toEqual(["/projects/p/runs/r/system", { first: 2, last: 5.5, buckets: 512, devices: "run" }]);
});

test("a metric that failed is an error that names it, and what was read stays", async () => {
  const frames = [frame("cpu/ratio")];
  const { ask } = hub(frames);
  const state = makeSystem("p", "r", ask, noDevices);
  await state.load();
  frames.push(frame("x", [], { code: "query_timeout", message: "too slow" }));
  await state.load();
  expect(state.error.value?.message).toBe("x: too slow");
  expect(state.metrics.value?.size).toBe(1);
});

test("a line is named after its device, and its host where there are several", () => {
  expect(nodeSeriesName({ host: "n1", label: "gpu0" }, true)).toBe("gpu0");
  expect(nodeSeriesName({ host: "n1", label: "" }, false)).toBe("n1 host");
});

test("all GPUs of the node are asked for on request", async () => {
  const { ask, asked } = hub([]);
  const state = makeSystem("p", "r", ask, noDevices);
  state.choose("all");
  await state.load();
  expect(asked.at(-1)).toEqual(["/projects/p/runs/r/system", { first: null, last: null, buckets: 512, devices: "all" }]);
});
