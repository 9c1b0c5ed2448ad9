/** Axes of parallel coordinates, and the ranges on them. */
import { expect, test } from "vitest";

import type { Sweep, Trial } from "../../src/api/sweeps.js";
import type { Value, ValueMap } from "../../src/api/values.js";
import { axesOf, axisText, goodness, placesOf, type Axis } from "../../src/pages/sweeps/axes.js";
import {
  brushAfterKey, brushBetween, formatBrushes, parseBrushes, placesOfBrush, trialsWithin, withBrush,
} from "../../src/pages/sweeps/brushes.js";

const PARAMETERS: ValueMap = {
  lr: { distribution: "log_uniform_values", min: 0.001, max: 1 },
  optimizer: { parameters: { name: { distribution: "categorical", values: ["sgd", "adam", 1, "1", true, null] } } },
  layers: { distribution: "int_uniform", min: 1, max: 9 },
  width: { distribution: "normal", mu: 0, sigma: 1 },
  exponent: { distribution: "log_uniform", min: 0, max: Math.LN10 },
  seed: { distribution: "constant", value: 3 },
};

function trial(number: number, value: number | null, lr: number, name: Value, layers: number): Trial {
  const params = { lr, optimizer: { name }, layers, width: number - 2.5, exponent: 2, seed: 3 };
  return { number, value, params } as unknown as Trial;
}

const TRIALS = [
  trial(1, 0.5, 0.001, "sgd", 1),
  trial(2, null, 0.01, "adam", 3),
  trial(3, 0.25, 0.1, "1", 5),
  trial(4, 90, 1, 1, 9),
];
const SWEEP = { config: { parameters: PARAMETERS }, metric: { name: "loss", goal: "minimize" } } as unknown as Sweep;
const AXES = axesOf(SWEEP, TRIALS);
const axis = (title: string): Axis => AXES.find((each) => each.title === title)!;
const places = (title: string) => [...placesOf(axis(title))].map((place) => Number(place.toFixed(3)));

test("each parameter that can differ has an axis, and the metric the last one", () => {
  expect(AXES.map(({ title }) => title)).toEqual(["lr", "optimizer.name", "layers", "width", "exponent", "loss"]);
  expect(AXES.map(({ key }) => key).slice(-2)).toEqual(["params.exponent", "value"]);
});

test("an axis has the scale of its distribution, over its bounds", () => {
  expect(places("lr")).toEqual([0, 0.333, 0.667, 1]);
  expect(places("layers")).toEqual([0, 0.25, 0.5, 1]);
  expect(places("width")).toEqual([0, 0.333, 0.667, 1]);
  expect([axis("exponent").scale.low, axis("exponent").scale.high]).toEqual([1, expect.closeTo(10)]);
  expect(axis("layers").ticks.every(({ label }) => /^\d$/.test(label))).toBe(true);
});

test("categories are apart also where they look alike", () => {
  const { categories, values } = axis("optimizer.name");
  expect(categories).toEqual(["sgd", "adam", "1", "1", "true", "null"]);
  expect([...values]).toEqual([0, 1, 3, 2]);
  expect(places("optimizer.name")[0]).toBeCloseTo(1 / 12, 3);
});

test("values of a metric that differ much are on a logarithmic axis, and a trial may have none", () => {
  expect(axis("loss").scale.kind).toBe("log");
  expect([...axis("loss").values]).toEqual([0.5, Number.NaN, 0.25, 90]);
  expect(axesOf(SWEEP, TRIALS.slice(1, 2)).some(({ key }) => key === "value")).toBe(false);
});

test("the best trial is the darkest, whichever way is better", () => {
  const values = Float64Array.of(3, Number.NaN, 1, 1e9);
  expect([...goodness(values, "minimize")]).toEqual([0.5, Number.NaN, 1, 0]);
  expect([...goodness(values, "maximize")]).toEqual([0.5, Number.NaN, 0, 1]);
  expect([...goodness(Float64Array.of(7), "minimize")]).toEqual([1]);
});

test("ranges keep trials that lie in all of them; a trial without a value is outside", () => {
  const within = (texts: string[]) => [...trialsWithin(AXES, parseBrushes(texts), TRIALS.length)];
  expect(within([])).toEqual([1, 1, 1, 1]);
  expect(within(["params.lr:0.005..1"])).toEqual([0, 1, 1, 1]);
  expect(within(["params.lr:0.005..1", "value:0..1"])).toEqual([0, 0, 1, 0]);
  expect(within(["params.optimizer.name:0..1"])).toEqual([1, 1, 0, 0]);
  expect(within(["params.gone:0..1"])).toEqual([1, 1, 1, 1]);
});

test("the address holds ranges, also of a metric with a colon, and damaged ones are left out", () => {
  const texts = ["params.lr:0.001..0.1", "a:b:-2..1e-5"];
  expect(formatBrushes(parseBrushes(texts))).toEqual(["params.lr:0.001..0.1", "a:b:-2..0.00001"]);
  expect(parseBrushes(["lr", "lr:", "lr:1", "lr:2..1", "lr:a..b", "lr:..3", ":1..2"]).size).toBe(0);
  expect([...withBrush(parseBrushes(texts), "a:b", null).keys()]).toEqual(["params.lr"]);
});

test("a drag makes a range: of categories and integers whole ones, of all nothing", () => {
  expect(brushBetween(axis("layers"), 0.6, 0.2)).toEqual([3, 5]);
  expect(brushBetween(axis("layers"), 0.13, 0.14)).toEqual([2, 2]);
  expect(brushBetween(axis("layers"), -1, 2)).toBeNull();
  expect(brushBetween(axis("optimizer.name"), 0.4, 0.4)).toEqual([2, 2]);
  const [low, high] = brushBetween(axis("lr"), -0.1, 1 / 3)!;
  expect([low, high]).toEqual([0.001, 0.01]);
});

test("the picture of a category's range covers the category", () => {
  expect(placesOfBrush(axis("optimizer.name"), [0, 2])).toEqual([0, expect.closeTo(0.5)]);
  expect(placesOfBrush(axis("lr"), undefined)).toEqual([0, 1]);
  expect(placesOfBrush(axis("lr"), [0, 0.01])[0]).toBe(0);
});

test("keys move the ends of a range and never past each other", () => {
  const layers = axis("layers");
  expect(brushAfterKey(layers, undefined, "low", "ArrowUp")).toEqual([2, 9]);
  expect(brushAfterKey(layers, [2, 9], "low", "ArrowDown")).toBeNull();
  expect(brushAfterKey(layers, [4, 4], "low", "ArrowUp")).toEqual([4, 4]);
  expect(brushAfterKey(layers, [4, 4], "high", "Home")).toEqual([4, 4]);
  expect(brushAfterKey(layers, [2, 4], "high", "End")).toEqual([2, 9]);
  expect(brushAfterKey(layers, [2, 4], "high", "Escape")).toBeNull();
  expect(brushAfterKey(layers, [2, 4], "high", "x")).toBeUndefined();
  expect(brushAfterKey(axis("optimizer.name"), undefined, "high", "ArrowDown")).toEqual([0, 4]);
  const [low] = brushAfterKey(axis("lr"), undefined, "low", "PageUp")!;
  expect(low).toBeCloseTo(0.001 * 10 ** 0.3, 5);
  expect(axisText(axis("optimizer.name"), 1)).toBe("adam");
  expect(axisText(axis("lr"), 0.01)).toBe("0.01");
});
