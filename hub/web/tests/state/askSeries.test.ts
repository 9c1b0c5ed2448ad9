/** Requests for series: what is sent, and frames that are given out while the rest is on its way. */
import { afterEach, expect, it, vi } from "vitest";

import { HubUnreachableError } from "../../src/api/errors.js";
import { FrameError, type SeriesFrame } from "../../src/engine/frames.js";
import { askSeries } from "../../src/state/askSeries.js";
import type { SeriesQuestion } from "../../src/state/frameCache.js";
import { encodeFrame, pointColumns } from "../engine/encode.js";

const QUESTION: SeriesQuestion = {
  project: "a/b",
  x: "step",
  first: 10,
  last: 20,
  buckets: 256,
  ranks: "mean",
  groups: null,
};
const NEVER = new AbortController().signal;

afterEach(() => vi.unstubAllGlobals());

function hub() {
  const sent: { path: string; body: unknown }[] = [];
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  vi.stubGlobal("fetch", async (path: string, init: RequestInit) => {
    sent.push({ path, body: JSON.parse(String(init.body)) });
    return new Response(readable);
  });
  return { sent, writer };
}

const frameOf = (item: number) =>
  encodeFrame({ item }, [{ run_id: "r1", columns: pointColumns([1], [2]) }]);

it("runs are asked for by id, with what is held", async () => {
  const { sent, writer } = hub();
  void writer.close();
  const have = [{ run_id: "r1", label: "", version: 3, level: 0, tail: 2, head_count: 2 }];
  for await (const _ of askSeries(QUESTION, ["r1"], [{ metric: "loss", have }], NEVER))
    expect.unreachable();
  expect(sent).toEqual([
    {
      path: "/api/v1/projects/a%2Fb/series",
      body: {
        runs: ["r1"],
        items: [{ metric: "loss", have }],
        x: "step",
        first: 10,
        last: 20,
        buckets: 256,
        labels: "join",
      },
    },
  ]);
});

it("groups are asked for with their runs, only those that are needed", async () => {
  const { sent, writer } = hub();
  void writer.close();
  const question = { ...QUESTION, groups: { small: ["r1", "r2"], large: ["r3"] } };
  for await (const _ of askSeries(question, ["small"], [{ metric: "loss" }], NEVER))
    expect.unreachable();
  expect(sent[0]!.path).toBe("/api/v1/projects/a%2Fb/bands");
  expect(sent[0]!.body).toMatchObject({
    groups: { small: ["r1", "r2"] },
    items: [{ metric: "loss" }],
  });
});

it("a frame comes out before the next one has arrived", async () => {
  const { writer } = hub();
  const frames = askSeries(QUESTION, ["r1"], [{ metric: "a" }, { metric: "b" }], NEVER)[
    Symbol.asyncIterator
  ]();
  void writer.write(frameOf(0));
  expect(((await frames.next()).value as SeriesFrame).item).toBe(0);
  void writer.write(frameOf(1).subarray(0, 30));
  void writer.write(frameOf(1).subarray(30));
  expect(((await frames.next()).value as SeriesFrame).item).toBe(1);
  void writer.close();
  expect((await frames.next()).done).toBe(true);
});

it("an answer that ends inside a frame is a failure, as is a connection that breaks there", async () => {
  const cut = hub();
  void cut.writer.write(frameOf(0).subarray(0, 40));
  void cut.writer.close();
  const read = async () => {
    for await (const _ of askSeries(QUESTION, ["r1"], [{ metric: "a" }], NEVER))
      expect.unreachable();
  };
  await expect(read()).rejects.toThrow(FrameError);
  const broken = hub();
  void broken.writer.abort(new TypeError("network error")).catch(() => undefined);
  await expect(read()).rejects.toThrow(HubUnreachableError);
});

it("a refusal of the hub is its own error", async () => {
  const refusal = { error: { code: "project_unknown", message: "there is no project a/b" } };
  vi.stubGlobal("fetch", async () => new Response(JSON.stringify(refusal), { status: 404 }));
  const frames = askSeries(QUESTION, ["r1"], [{ metric: "a" }], NEVER)[Symbol.asyncIterator]();
  await expect(frames.next()).rejects.toThrow("there is no project a/b");
});

it("an answer of a known length is read in one piece", async () => {
  const bytes = new Uint8Array([...frameOf(0), ...frameOf(1)]);
  const response = new Response(bytes, { headers: { "Content-Length": String(bytes.length) } });
  const read = vi.spyOn(response, "arrayBuffer");
  vi.stubGlobal("fetch", async () => response);
  const items: number[] = [];
  for await (const { item } of askSeries(QUESTION, ["r1"], [{ metric: "a" }], NEVER)) items.push(item);
  expect(items).toEqual([0, 1]);
  expect(read).toHaveBeenCalledOnce();
});
