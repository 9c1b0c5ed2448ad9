/** The codec of query strings. */
import { expect, test } from "vitest";

import { flag, list, number, oneOf, range, readQuery, text, writeQuery } from "../../src/state/query.js";

const VIEW = {
  q: text(),
  s: list(["-started"]),
  x: oneOf(["step", "time"], "step"),
  w: number(1),
  z: range(),
  a: flag(),
};
const DEFAULTS = readQuery(VIEW, "");

test("values that are the default are left out", () => {
  expect(writeQuery(VIEW, DEFAULTS, "")).toBe("");
});

test("an address stays readable", () => {
  const values = { ...DEFAULTS, q: "tag:ablate val/loss|x", s: ["-val/loss"], z: [1e4, 5e4] as const };
  expect(writeQuery(VIEW, values, "")).toBe("?q=tag:ablate+val/loss|x&s=-val/loss&z=10000..50000");
});

test.each(["", "a b", "a+b", "100%", "&=?#", 'name~"^big"', "é<>,\\", "a,b", "\\,", ","])(
  "%j comes back as a text and in a list",
  (given) => {
    const values = { ...DEFAULTS, q: given, s: [given, "x", given] };
    const query = writeQuery(VIEW, values, "");
    expect(readQuery(VIEW, query)).toEqual(values);
    expect(readQuery(VIEW, new URL(query, "http://hub/p/a").search)).toEqual(values);
  },
);

test("an empty list differs from the default", () => {
  expect(readQuery(VIEW, writeQuery(VIEW, { ...DEFAULTS, s: [] }, "")).s).toEqual([]);
});

test.each([
  [[1, 2]],
  [[null, -2.5e-7]],
  [[3e9, null]],
  [null],
] as const)("the range %j comes back", (z) => {
  expect(readQuery(VIEW, writeQuery(VIEW, { ...DEFAULTS, z }, "")).z).toEqual(z);
});

test.each(["?x=sideways", "?w=many", "?w=", "?z=1", "?z=a..b", "?z=..", "?w=Infinity"])(
  "%s counts as not given",
  (query) => expect(readQuery(VIEW, query)).toEqual(DEFAULTS),
);

test("keys of others are kept", () => {
  expect(writeQuery(VIEW, { ...DEFAULTS, a: true }, "?embed=1&q=old")).toBe("?a=1&embed=1");
});
