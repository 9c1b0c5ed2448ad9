/** Values as JSON carries them. */
import { expect, test } from "vitest";

import { decodeJson, encodeJson, type Value } from "../../src/api/values.js";

test("marked numbers become numbers wherever they are", () => {
  const text = '{"a":{"$float":"NaN"},"b":[{"$float":"-Infinity"}],"c":{"$int":"9007199254740993"}}';
  expect(decodeJson(text)).toEqual({ a: NaN, b: [-Infinity], c: 9007199254740993n });
});

test.each(['{"a":{"$float":"wide"}}', '{"a":{"$int":"1e3"}}', '{"a":{"$float":"NaN","b":1}}', '{"a":{"$int":3}}'])(
  "%s is a value like any other",
  (text) => expect(decodeJson(text)).toEqual(JSON.parse(text)),
);

test("a key named __proto__ is a key", () => {
  const decoded = decodeJson('{"__proto__":{"x":1},"n":{"$float":"NaN"}}') as object;
  expect(Object.keys(decoded)).toEqual(["__proto__", "n"]);
  expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype);
});

test.each<[Value, string]>([
  [2n ** 60n + 1n, "1152921504606846977"],
  [{ a: [1, 2n ** 64n], b: { c: NaN }, d: [], e: {}, "é\"": null }, '{"a":[1,18446744073709551616],"b":{"c":"NaN"},"d":[],"e":{},"é\\"":null}'],
  ["text", '"text"'],
  [[true, -Infinity, 0.5], '[true,"-Infinity",0.5]'],
])("JSON has all digits of integers, and no NaN: case %#", (value, text) => expect(encodeJson(value)).toBe(text));

test("JSON on several lines is as JSON.stringify writes it", () => {
  const value = { lr: 0.1, model: { depth: 12, act: { name: "gelu" } }, empty: {}, list: [1, [2, { a: "b" }]], none: [] };
  expect(encodeJson(value, 2)).toBe(JSON.stringify(value, null, 2));
});
