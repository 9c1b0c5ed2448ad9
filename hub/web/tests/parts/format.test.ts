/** How numbers, moments and durations are written. */
import { expect, test } from "vitest";

import { formatAge, formatBytes, formatDuration, formatNumber, formatValue } from "../../src/parts/format.js";

test.each([
  [0, "0"],
  [1234567, "1234567"],
  [-3, "-3"],
  [0.1 + 0.2, "0.3"],
  [3.14159265, "3.1416"],
  [0.0001, "1e-4"],
  [0.00012345678, "1.235e-4"],
  [1.5e10, "1.5e10"],
  [1796000123.75, "1796000124"],
  [4294967295, "4294967295"],
  [99999.6, "1e5"],
  [123456.789, "123457"],
  [-2.5e-9, "-2.5e-9"],
  [NaN, "NaN"],
  [-Infinity, "-∞"],
])("the number %d is %s", (value, text) => expect(formatNumber(value)).toBe(text));

test.each([
  [0, "0 s"],
  [9.96, "10 s"],
  [59.7, "1 min"],
  [200, "3 min 20 s"],
  [3600, "1 h"],
  [90061, "1 d 1 h"],
])("%d seconds are %s", (seconds, text) => expect(formatDuration(seconds)).toBe(text));

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
  expect(formatValue([1, NaN, "a", 2n ** 64n])).toBe('[1,"NaN","a","18446744073709551616"]');
  expect(formatValue(null)).toBe("");
  expect(formatValue(false)).toBe("false");
});
