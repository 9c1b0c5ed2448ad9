/** Values as JSON carries them. */
import { expect, test } from "vitest";

import { decodeJson } from "../../src/api/values.js";

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
