import { describe, expect, it, vi } from "vitest";

import { formatCount, formatDuration, formatTick, formatValue } from "../../src/engine/format.js";
import {
  makeScale,
  niceStep,
  padded,
  project,
  type ScaleKind,
  ticks,
  toPixel,
  toValue,
} from "../../src/engine/scales.js";
import { random } from "./encode.js";
import cases from "./ticks.json";

const KINDS: ScaleKind[] = ["linear", "log", "symlog"];

describe.each(KINDS)("a %s scale", (kind) => {
  it("maps its ends to the ends of the axis and back", () => {
    const next = random(3);
    for (let round = 0; round < 500; round++) {
      const low = kind === "log" ? 10 ** (next() * 10 - 5) : (next() - 0.5) * 1e6;
      const high = low + 10 ** (next() * 8 - 2);
      const scale = makeScale(kind, low, high, 300, 10);
      expect(toPixel(scale, low)).toBeCloseTo(300, 4);
      expect(toPixel(scale, high)).toBeCloseTo(10, 4);
      const value = low + (high - low) * next();
      expect(Math.abs(toValue(scale, toPixel(scale, value)) - value)).toBeLessThan(
        1e-6 * Math.max(1, Math.abs(high)),
      );
    }
  });

  it("has some ticks inside, ascending, and not many more than asked for", () => {
    const next = random(4);
    for (let round = 0; round < 1000; round++) {
      const low =
        kind === "log" ? 10 ** (next() * 20 - 10) : (next() - 0.5) * 10 ** (next() * 12 - 4);
      const high = low + Math.abs(low || 1) * 10 ** (next() * 10 - 4);
      const found = ticks(makeScale(kind, low, high, 0, 300), 5);
      expect(found.length).toBeGreaterThanOrEqual(1);
      expect(found.length).toBeLessThanOrEqual(13);
      for (const [i, tick] of found.entries()) {
        expect(tick.pixel).toBeGreaterThanOrEqual(-0.01);
        expect(tick.pixel).toBeLessThanOrEqual(300.01);
        if (i > 0) expect(tick.value).toBeGreaterThan(found[i - 1]!.value);
      }
      expect(new Set(found.map((tick) => tick.label)).size).toBe(found.length);
    }
  });

  it("takes an empty, an inverted and an invalid range", () => {
    for (const [low, high] of [
      [3, 3],
      [0, 0],
      [5, 1],
      [Number.NaN, Number.NaN],
      [-2, -1],
    ]) {
      const scale = makeScale(kind, low!, high!, 0, 100);
      expect(scale.high).toBeGreaterThan(scale.low);
      expect(Number.isFinite(scale.factor)).toBe(true);
    }
  });
});

describe.each(KINDS)("a %s scale near the ends of the numbers", (kind) => {
  const [largest, smallest] = [Number.MAX_VALUE, Number.MIN_VALUE];
  it.each([
    [1e308, 1e308],
    [largest, largest],
    [1.7e308, largest],
    [-1e308, 1e308],
    [-largest, largest],
    [-largest, -largest],
    [smallest, smallest],
    [0, smallest],
    [smallest, 3 * smallest],
    [-smallest, smallest],
    [smallest, largest],
    [1e308, 1.0000000000000002e308],
    [1e20, 1e20 + 65536],
    [1e-310, 1e-305],
    [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
  ])("has some finite ticks from %d to %d", (low, high) => {
    for (const isWhole of [false, true]) {
      const [from, to] = padded(kind, low, high, 0.04);
      const scale = makeScale(kind, from, to, 300, 0, { isWhole });
      expect(Number.isFinite(scale.factor) && Number.isFinite(scale.offset)).toBe(true);
      expect(scale.high).toBeGreaterThan(scale.low);
      const isNarrow = (scale.high / 2 - scale.low / 2) / Math.abs(scale.high) < 1e-9;
      expect(toPixel(scale, scale.low)).toBeCloseTo(300, isNarrow ? -2 : 3);
      expect(toPixel(scale, scale.high)).toBeCloseTo(0, isNarrow ? -2 : 3);
      const found = ticks(scale, 5);
      expect(found.length).toBeLessThanOrEqual(13);
      for (const [i, { value, pixel, label }] of found.entries()) {
        expect(Number.isFinite(value) && Number.isFinite(pixel)).toBe(true);
        expect(label).toMatch(/\d/);
        expect(label).not.toMatch(/NaN|Infinity/);
        if (i > 0) expect(value).toBeGreaterThan(found[i - 1]!.value);
      }
    }
  });
});

it("a logarithmic scale has no place for 0 and less", () => {
  const scale = makeScale("log", 0.1, 10, 0, 100);
  const out = new Float32Array(3);
  project(scale, [0, -1, 1], out, 0, 3);
  expect([...out]).toEqual([Number.NaN, Number.NaN, 50]);
});

it("symlog is odd and linear around 0", () => {
  const scale = makeScale("symlog", -1000, 1000, 0, 200);
  expect(toPixel(scale, 0)).toBeCloseTo(100, 9);
  expect(toPixel(scale, 50) - 100).toBeCloseTo(100 - toPixel(scale, -50), 9);
});

it("ticks are round numbers", () => {
  const labels = (kind: ScaleKind, low: number, high: number, n = 5) =>
    ticks(makeScale(kind, low, high, 0, 300), n).map((t) => t.label);
  expect(labels("linear", 0, 1_000_000)).toEqual(["0", "200k", "400k", "600k", "800k", "1M"]);
  expect(labels("linear", 0.29, 2.56, 4)).toEqual(["1", "2"]);
  expect(labels("log", 1e-5, 1)).toEqual(["1e-5", "1e-4", "0.001", "0.01", "0.1", "1"]);
  expect(labels("symlog", -1000, 1000)).toContain("0");
  expect([0.3, 1, 1.1, 4, 7, 0].map(niceStep)).toEqual([0.5, 1, 2, 5, 10, 1]);
});

it("durations have ticks of clocks and calendars", () => {
  const minutes = makeScale("linear", 0, 25 * 60e6, 0, 500, { unit: "relative" });
  expect(ticks(minutes, 5).map((tick) => tick.label)).toEqual([
    "0",
    "5m",
    "10m",
    "15m",
    "20m",
    "25m",
  ]);
  const day = makeScale("linear", 1.7e15, 1.7e15 + 3 * 86400e6, 0, 500, { unit: "time" });
  for (const tick of ticks(day, 3)) expect(new Date(tick.value / 1000).getHours()).toBe(0);
});

it("moments of logged data have ticks on midnights of UTC, with the year on a long axis", () => {
  vi.stubEnv("TZ", "America/New_York");
  const labels = (days: number) => {
    const scale = makeScale("linear", 1.7e15, 1.7e15 + days * 86400e6, 0, 500, { unit: "utc" });
    return ticks(scale, 3).map((tick) => [tick.value % 86400e6, /\b20\d\d\b/.test(tick.label)]);
  };
  expect(labels(3)).toEqual([[0, false], [0, false], [0, false]]);
  expect(labels(900).length).toBeGreaterThan(1);
  for (const label of labels(900)) expect(label).toEqual([0, true]);
  vi.unstubAllEnvs();
});

it("padding follows the scale", () => {
  expect(padded("linear", 0, 10, 0.1)).toEqual([-1, 11]);
  const [low, high] = padded("log", 1, 100, 0.5);
  expect(low).toBeCloseTo(0.1, 9);
  expect(high).toBeCloseTo(1000, 6);
  expect(padded("log", 0, 5, 0.1)).toEqual([0, 5]);
});

it.each(cases)("labels of ticks from $first are told apart", ({ first, step, labels }) => {
  expect([0, 1, 2, 3].map((at) => formatTick(first + at * step, step))).toEqual(labels);
});

it("numbers are short", () => {
  expect([0, 0.0001234, 1.23456, 123456, 12345678, 12345678.5, 2 ** 40 + 1, 1e15, -0.5, Number.NaN].map(formatValue)).toEqual([
    "0",
    "0.000123",
    "1.2346",
    "123456",
    "12345678",
    "1.235e7",
    "1099511627777",
    "1.000e15",
    "-0.50000",
    "NaN",
  ]);
  expect([950, 1200, 1_000_000].map(formatCount)).toEqual(["950", "1.2 k", "1.0 M"]);
  expect([0, 0.5, 90, 3660, 90_000].map((seconds) => formatDuration(seconds))).toEqual([
    "0",
    "0.5s",
    "1m30s",
    "1h01m",
    "1d1h",
  ]);
  expect(formatTick(1500, 500)).toBe("1500");
  expect(formatTick(25_000, 5000)).toBe("25k");
});

describe("an axis of one point", () => {
  const moment = Date.UTC(2026, 10, 26, 8, 0, 0) * 1000;

  it("of time shows a minute, not months", () => {
    const { low, high } = makeScale("linear", moment, moment, 0, 300, { unit: "time" });
    expect([low - moment, high - moment]).toEqual([-30e6, 30e6]);
  });

  it("of durations shows a tenth, a second at least", () => {
    const span = (at: number) => {
      const { low, high } = makeScale("linear", at, at, 0, 300, { unit: "relative" });
      return (high - low) / 1e6;
    };
    expect([span(0), span(5e6), span(1000e6)]).toEqual([2, 2, 200]);
  });
});

describe("an axis of steps", () => {
  it("has ticks at whole numbers alone, for any range that holds one", () => {
    const next = random(11);
    for (const kind of KINDS) {
      for (let round = 0; round < 500; round++) {
        const low = Math.max(Math.floor(next() * 50), Number(kind === "log"));
        const high = low + Math.floor(next() * 10 ** (1 + 4 * next()));
        const scale = makeScale(kind, low, high, 0, 300, { isWhole: true });
        for (const wanted of [2, 5, 10]) {
          const values = ticks(scale, wanted).map(({ value }) => value);
          expect(values.length).toBeGreaterThan(0);
          expect(values.filter((value) => !Number.isInteger(value))).toEqual([]);
        }
      }
    }
  });

  it("zoomed between two steps says where it is", () => {
    const scale = makeScale("linear", 3.1, 3.9, 0, 300, { isWhole: true });
    expect(ticks(scale, 4).length).toBeGreaterThan(1);
  });
});
