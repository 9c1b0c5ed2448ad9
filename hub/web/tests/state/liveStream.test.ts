/** The live stream: what is asked of the hub, and what happens when it goes away. */
import { describe, expect, it } from "vitest";

import { backoff, EventParser, LiveStreams, type LiveEvent } from "../../src/state/liveStream.js";
import { random } from "../engine/encode.js";

describe("server-sent events", () => {
  const text =
    'retry: 100\n\nid: 7\nevent: run\ndata: {"a":1}\ndata: 2\n\n: comment\n\r\ndata:x\r\n\r\n';
  const expected = [
    { id: "7", event: "run", data: '{"a":1}\n2' },
    { id: "7", event: "message", data: "x" },
  ];

  it("are parsed from any pieces", () => {
    for (let cut = 0; cut <= text.length; cut++) {
      const parser = new EventParser();
      expect([...parser.push(text.slice(0, cut)), ...parser.push(text.slice(cut))]).toEqual(
        expected,
      );
    }
    const parser = new EventParser();
    expect([...text].flatMap((char) => parser.push(char))).toEqual(expected);
  });

  it("without an end are not given out", () => {
    expect(new EventParser().push("event: run\ndata: 1\n")).toEqual([]);
  });
});

it("the wait doubles up to a bound, with jitter", () => {
  const next = random(5);
  for (let attempt = 1; attempt < 30; attempt++) {
    const full = Math.min(15_000, 500 * 2 ** (attempt - 1));
    expect(backoff(attempt, next)).toBeGreaterThanOrEqual(full / 2);
    expect(backoff(attempt, next)).toBeLessThanOrEqual(full);
  }
});

const TAB1 = { name: "first tab" };
const TAB2 = { name: "second tab" };

interface Call {
  path: string;
  init: RequestInit;
  send(text: string): Promise<void>;
  end(): Promise<void>;
}

function network() {
  const calls: Call[] = [];
  const timers: { call: () => void; milliseconds: number }[] = [];
  let isDown = false;
  let isRefusing = false;
  const settle = () => new Promise<void>((done) => setTimeout(done, 0));
  const streams = new LiveStreams({
    fetch: async (path, init) => {
      if (isDown) throw new TypeError("refused");
      if (init.method === "POST") {
        if (isRefusing) return new Response("{}", { status: 503 });
        calls.push({ path, init, send: settle, end: settle });
        return new Response("{}");
      }
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
      const writer = writable.getWriter();
      init.signal?.addEventListener("abort", () => void writer.abort().catch(() => undefined));
      calls.push({
        path,
        init,
        send: async (text) => (void writer.write(new TextEncoder().encode(text)), settle()),
        end: async () => (void writer.close(), settle()),
      });
      return new Response(readable);
    },
    after: (milliseconds, call) => {
      const timer = { call, milliseconds };
      timers.push(timer);
      return () => void timers.splice(timers.indexOf(timer), timers.includes(timer) ? 1 : 0);
    },
    random: () => 0.5,
  });
  const fire = async () => {
    for (const timer of timers.splice(0)) timer.call();
    await settle();
  };
  return {
    streams,
    calls,
    timers,
    fire,
    settle,
    setDown: (down: boolean) => (isDown = down),
    setRefusing: (refusing: boolean) => (isRefusing = refusing),
  };
}

const HELLO = 'event: hello\ndata: {"subscription":"s1"}\n\n';
const watchOf = (runs: string[], metrics = ["loss"], project: string | null = "p") => ({
  project,
  runs,
  metrics,
});

describe("a stream", () => {
  it("is one for all listeners of a project, who watch together", async () => {
    const { streams, calls, fire, settle } = network();
    const seen: LiveEvent[][] = [[], []];
    streams.watch(TAB1, watchOf(["r2"]), (event) => seen[0]!.push(event));
    streams.watch(TAB2, watchOf(["r1"], ["acc"]), (event) => seen[1]!.push(event));
    await settle();
    await calls[0]!.send(HELLO);
    streams.watch(TAB1, watchOf(["r2", "r3"]), (event) => seen[0]!.push(event));
    await fire();
    expect(calls.map(({ path }) => path)).toEqual([
      "/api/v1/projects/p/live?runs=r1&runs=r2&metrics=acc&metrics=loss",
      "/api/v1/live/s1",
    ]);
    expect(JSON.parse(String(calls[1]!.init.body))).toEqual({
      runs: ["r1", "r2", "r3"],
      metrics: ["acc", "loss"],
    });
    await calls[0]!.send('event: series\ndata: {"series":[]}\n\n');
    for (const events of seen)
      expect(events.at(-1)).toEqual({ type: "event", event: "series", data: { series: [] } });
  });

  it("is told only what changed, and closed with its last listener", async () => {
    const { streams, calls, fire, settle } = network();
    const tell = () => undefined;
    streams.watch(TAB1, watchOf(["r1"]), tell);
    await settle();
    await calls[0]!.send(HELLO);
    await fire();
    streams.watch(TAB1, watchOf(["r1"]), tell);
    await fire();
    expect(calls).toHaveLength(1);
    streams.watch(TAB1, watchOf(["r1", "r2"]), tell);
    await fire();
    expect(calls).toHaveLength(2);
    streams.watch(TAB1, null, tell);
    expect(calls[0]!.init.signal?.aborted).toBe(true);
  });

  it("says again what is watched after the hub refused it", async () => {
    const { streams, calls, timers, fire, settle, setRefusing } = network();
    streams.watch(TAB1, watchOf(["r1"]), () => undefined);
    await settle();
    await calls[0]!.send(HELLO);
    streams.watch(TAB1, watchOf(["r2"]), () => undefined);
    setRefusing(true);
    await fire();
    expect(timers.map(({ milliseconds }) => milliseconds)).toEqual([2000]);
    setRefusing(false);
    await fire();
    expect(calls[1]!.path).toBe("/api/v1/live/s1");
    expect(JSON.parse(String(calls[1]!.init.body))).toEqual({ runs: ["r2"], metrics: ["loss"] });
    expect(timers).toEqual([]);
  });

  it("that breaks is opened again after a wait, from the last event on", async () => {
    const { streams, calls, timers, fire, settle, setDown } = network();
    const states: boolean[] = [];
    streams.watch(
      TAB1,
      watchOf(["r1"]),
      (event) => event.type === "state" && states.push(event.isConnected),
    );
    await settle();
    await calls[0]!.send(`id: 41\n${HELLO}`);
    await fire();
    setDown(true);
    await calls[0]!.end();
    expect(states).toEqual([true, false]);
    const waits: number[] = [];
    for (let round = 0; round < 3; round++) {
      waits.push(timers[0]!.milliseconds);
      await fire();
    }
    expect(waits).toEqual([375, 375, 750]);
    setDown(false);
    await fire();
    expect(states.at(-1)).toBe(true);
    const again = calls.at(-1)!;
    expect((again.init.headers as Record<string, string>)["Last-Event-ID"]).toBe("41");
    expect(again.path).toBe("/api/v1/projects/p/live?runs=r1&metrics=loss");
    await again.send('event: hello\ndata: {"subscription":"s2"}\n\n');
    await fire();
    expect(calls.at(-1)).toBe(again);
  });

  it("with too many names for an address says them after its beginning", async () => {
    const { streams, calls, fire, settle } = network();
    const runs = Array.from({ length: 1000 }, (_, i) => `run-${1000 + i}`);
    streams.watch(TAB1, watchOf(runs), () => undefined);
    await settle();
    expect(calls[0]!.path).toBe("/api/v1/projects/p/live");
    await calls[0]!.send(HELLO);
    await fire();
    expect(JSON.parse(String(calls[1]!.init.body))).toEqual({ runs, metrics: ["loss"] });
  });

  it("tells a listener that joins later how the list of runs stands", async () => {
    const { streams, calls, settle } = network();
    const seen: LiveEvent[] = [];
    streams.watch(TAB1, watchOf(["r1"]), () => undefined);
    await settle();
    await calls[0]!.send('event: runs\ndata: {"runs_version":7}\n\n');
    streams.watch(TAB2, watchOf(["r1"]), (event) => seen.push(event));
    expect(seen).toEqual([
      { type: "state", isConnected: true },
      { type: "event", event: "runs", data: { runs_version: 7 } },
    ]);
  });

  it("leaves out events that are no JSON", async () => {
    const { streams, calls, settle } = network();
    const seen: LiveEvent[] = [];
    streams.watch(TAB1, watchOf([], [], null), (event) => seen.push(event));
    await settle();
    expect(calls[0]!.path).toBe("/api/v1/live");
    await calls[0]!.send("event: projects\ndata: {oops\n\nevent: projects\ndata: {}\n\n");
    expect(seen.filter((event) => event.type === "event")).toHaveLength(1);
  });
});
