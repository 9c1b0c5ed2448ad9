/** Runs as comma-separated values. */
import { expect, test } from "vitest";

import type { RunOverview } from "../../src/api/types.js";
import { csvField, runsCsv } from "../../src/state/csv.js";
import { formatTags, parseTags } from "../../src/state/edits.js";

test.each([
  ["plain", "plain"],
  ['a "b", c', '"a ""b"", c"'],
  ["two\nlines", '"two\nlines"'],
  ["=1+1", "'=1+1"],
  [-1.5, "-1.5"],
  [NaN, "NaN"],
  [null, ""],
  [[1, NaN], '"[1,""NaN""]"'],
] as const)("%j is the field %j", (value, field) => expect(csvField(value)).toBe(field));

test("a line per run behind a line of names", () => {
  const run = { run_id: "k1", name: "a,b", columns: { "config.lr": 0.1 } } as unknown as RunOverview;
  expect(runsCsv([run], ["config.lr"], (row, column) => row.columns[column])).toBe(
    'run_id,name,config.lr\r\nk1,"a,b",0.1\r\n',
  );
});

test.each([[[]], [["a", "b c"]], [["a,b", "c\\d", "e\\,f"]], [["x\\"]]])("the tags %j come back from their text", (tags) => {
  expect(parseTags(formatTags(tags))).toEqual(tags);
});

test("tags are split at commas, each once", () => {
  expect(parseTags(" a, b c ,,a")).toEqual(["a", "b c"]);
});

test("tags are copied as the editor writes them", () => {
  const run = { run_id: "k1", name: "n", tags: ["ablate", "a,b"] } as unknown as RunOverview;
  expect(runsCsv([run], ["tags"], (row) => row.tags.join(", "))).toBe('run_id,name,tags\r\nk1,n,"ablate, a\\,b"\r\n');
});
