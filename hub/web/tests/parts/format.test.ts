/** How numbers, moments and durations are written. */
import { expect, test } from "vitest";

import type { Value } from "../../src/api/values.js";
import { formatAge, formatBytes, formatDuration, formatNumber, formatValue } from "../../src/parts/format.js";
import cases from "./formats.json";

// The tests of exported reports have these cases too.
const [numbers, durations, values] = [cases.numbers, cases.durations, cases.values] as [number, string][][];

test.each([...numbers!, [NaN, "NaN"], [Infinity, "∞"], [-Infinity, "-∞"]] as [number, string][])(
  "the number %d is %s",
  (value, text) => expect(formatNumber(value)).toBe(text),
);

test.each(durations!)("%d seconds are %s", (seconds, text) => expect(formatDuration(seconds)).toBe(text));

test.each(values as unknown as [Value, string][])("the value %j is %s", (value, text) => expect(formatValue(value)).toBe(text));

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1 kB"],
  [1234567, "1.23 MB"],
])("%d bytes are %s", (bytes, text) => expect(formatBytes(bytes)).toBe(text));

test("ages name one unit", () => {
  expect(formatAge(100, 101)).toBe("now");
  expect(formatAge(100, 109.5)).toBe("9 s ago");
  expect(formatAge(100, 100 + 3 * 3600 + 59)).toBe("3 h ago");
});

test("a value of any type fits on a line", () => {
  expect(formatValue([1, NaN, "a", 2n ** 64n])).toBe('[1,"NaN","a",18446744073709551616]');
  expect(formatValue(null)).toBe("");
  expect(formatValue(false)).toBe("false");
});
