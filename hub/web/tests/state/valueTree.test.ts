/** Nested values as lines. */
import { expect, test } from "vitest";

import { leafCount, treeLines } from "../../src/state/valueTree.js";

const ROOT = { lr: 0.1, model: { depth: 12, act: { name: "gelu" } }, empty: {}, list: [1, NaN], big: 2n ** 60n };
const options = { toggled: new Set<string>(), search: "", textOf: String };
const paths = (more: Partial<typeof options>) => treeLines(ROOT, { ...options, ...more }).map((line) => line.path);

test("each value is a line below its group", () => {
  expect(paths({})).toEqual(["lr", "model", "model.depth", "model.act", "model.act.name", "empty", "list", "big"]);
  expect(leafCount(ROOT)).toBe(5);
});

test("a shut group hides what is in it", () => {
  expect(paths({ toggled: new Set(["model.act"]) })).not.toContain("model.act.name");
  expect(paths({ toggled: new Set(["model"]) })).not.toContain("model.act");
});

test("a search finds names and values, in shut groups too, with the groups above", () => {
  expect(paths({ search: "GELU", toggled: new Set(["model"]) })).toEqual(["model", "model.act", "model.act.name"]);
  expect(paths({ search: "depth" })).toEqual(["model", "model.depth"]);
  expect(paths({ search: "nowhere" })).toEqual([]);
});

test("a medium is shut until it is opened, and says what it is", () => {
  const root = { val: { sample: { _type: "image-file", width: 4 }, rows: { _type: "table-file", nrows: 2 } } };
  const lines = (toggled: string[]) => treeLines(root, { ...options, hasMedia: true, toggled: new Set(toggled) });
  expect(lines([]).map((line) => [line.path, line.medium, line.isOpen])).toEqual([
    ["val", "", true], ["val.sample", "image", false], ["val.rows", "table", false],
  ]);
  expect(lines(["val.sample"]).map((line) => line.path)).toContain("val.sample.width");
  expect(treeLines(root, { ...options, search: "nrows" }).map((line) => line.path)).toContain("val.rows.nrows");
});

test("a config has no media", () => {
  const lines = treeLines({ opt: { _type: "adam", lr: 1 } }, options);
  expect(lines.map((line) => [line.path, line.medium])).toEqual([["opt", ""], ["opt._type", ""], ["opt.lr", ""]]);
});

test("a medium without bytes says so", () => {
  const lost = { _type: "image-file", blob: null, failed: "the disk is full" };
  const root = {
    lost, kept: { _type: "image-file", blob: "9f" }, kind: { _type: "plotly-file", kept: false },
    some: { _type: "images/separated", items: [lost, { _type: "image-file", blob: "9f" }] },
    none: { _type: "images/separated", items: [lost] },
  };
  expect(treeLines(root, { ...options, hasMedia: true }).map((line) => line.medium)).toEqual([
    "image, not kept", "image", "plotly, not kept", "images/separated", "images/separated, not kept",
  ]);
});
