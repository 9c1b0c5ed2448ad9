/** Artifacts: order, folders, comparison, preview, and the graph of a lineage. */
import { expect, test } from "vitest";

import type { Collection, Entry, Lineage, LineageEdge, LineageNode, Manifest } from "../../src/api/artifacts.js";
import { sortAfter, sortCollections } from "../../src/pages/artifacts/collections.js";
import { linePath, neighbours, pathThrough } from "../../src/pages/artifacts/graph.js";
import { fitScale, NODE_HEIGHT, NODE_WIDTH, placed } from "../../src/pages/artifacts/layout.js";
import { compareManifests, folderRows, searchRows } from "../../src/pages/artifacts/manifestRows.js";
import { nodeFacts, nodeHref } from "../../src/pages/artifacts/nodes.js";
import { previewKind, textOf } from "../../src/pages/artifacts/previewText.js";
import { logLines, useLines } from "../../src/pages/artifacts/snippets.js";

const collection = (name: string, facts: Partial<Collection> = {}): Collection => ({
  project: "p", name, type: "model", versions: 1, pending: 0, latest: "v0", size: 1, created_at: 0, updated_at: 0, ...facts,
});
const names = (found: readonly Collection[]) => found.map(({ name }) => name);

test("artifacts are in the order of a column, then by name", () => {
  const all = [collection("b10", { size: 5 }), collection("b9", { size: 5 }), collection("a", { size: 7, updated_at: 3 })];
  expect(names(sortCollections(all, "name"))).toEqual(["a", "b9", "b10"]);
  expect(names(sortCollections(all, "-size"))).toEqual(["a", "b9", "b10"]);
  expect(names(sortCollections(all, "size"))).toEqual(["b9", "b10", "a"]);
  expect(names(sortCollections(all, "nonsense"))).toEqual(["a", "b9", "b10"]);
  expect([sortAfter("-size", "size"), sortAfter("name", "name"), sortAfter("name", "size"), sortAfter("-size", "type")]).toEqual(
    ["size", "-name", "-size", "type"],
  );
});

const blob = (digest: string, size = 1): Entry => ({ digest, size });
const manifest = (entries: Record<string, Entry>): Manifest => ({ count: Object.keys(entries).length, size: 0, entries });
const FILES = manifest({
  "b.txt": blob("b", 2),
  "a10.txt": blob("a"),
  "a9.txt": blob("a"),
  "train/x/1.png": blob("1", 10),
  "train/2.png": blob("2", 5),
  __proto__x: blob("p"),
});

test("a folder holds its folders with their sizes, then its files", () => {
  const rows = folderRows(FILES, "");
  expect(rows.map(({ label }) => label)).toEqual(["train", "__proto__x", "a9.txt", "a10.txt", "b.txt"]);
  expect(rows[0]).toEqual({ kind: "folder", path: "train/", label: "train", count: 2, size: 15 });
  expect(folderRows(FILES, "train/").map(({ path }) => path)).toEqual(["train/x/", "train/2.png"]);
  expect(folderRows(FILES, "nowhere/")).toEqual([]);
});

test("a search finds parts of paths in every folder", () => {
  expect(searchRows(FILES, "PNG").map(({ label }) => label)).toEqual(["train/2.png", "train/x/1.png"]);
});

test("two manifests differ by what was added, removed and changed", () => {
  const before = manifest({ same: blob("s"), gone: blob("g"), other: blob("1"), far: { reference: "s3://a", size: null } });
  const after = manifest({ same: blob("s"), new: blob("n"), other: blob("2"), far: { reference: "s3://b", size: null } });
  expect(compareManifests(before, after).map(({ kind, path }) => `${kind} ${path}`)).toEqual([
    "changed far", "removed gone", "added new", "changed other",
  ]);
  expect(compareManifests(before, before)).toEqual([]);
});

test.each([["a.PNG", "picture"], ["a.parquet", "table"], ["a.mp4", "video"], ["README", "text"], ["a.constructor", "text"], ["x.png/y", "text"]])(
  "%s is shown as %s",
  (path, kind) => expect(previewKind(path)).toBe(kind),
);

test("bytes are shown as a text where they are one", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  expect(textOf(bytes("grüße"), { path: "a", isWhole: true })).toBe("grüße");
  expect(textOf(bytes("grü").slice(0, 3), { path: "a", isWhole: false })).toBe("gr");
  expect(textOf(bytes("grü").slice(0, 3), { path: "a", isWhole: true })).toBeNull();
  expect(textOf(Uint8Array.of(80, 75, 0, 4), { path: "a", isWhole: true })).toBeNull();
  expect(textOf(bytes('{"a":[1]}'), { path: "a.json", isWhole: true })).toBe('{\n  "a": [\n    1\n  ]\n}');
  expect(textOf(bytes('{"a":'), { path: "a.json", isWhole: true })).toBe('{"a":');
  expect(textOf(bytes('{"a":12345678901234567890}'), { path: "a.json", isWhole: true })).toBe('{"a":12345678901234567890}');
});

const edge = (source: string, target: string): LineageEdge => ({ source, target, kind: "used" });
const node = (id: string, facts: Partial<LineageNode> = {}): LineageNode => ({
  id, kind: "run", project: "p", name: id, type: "", is_deleted: false, title: id, state: "finished", last_seen: null, ...facts,
});

test("the path through a node is what leads to it and what comes of it", () => {
  const edges = [edge("a", "b"), edge("b", "c"), edge("a", "x"), edge("y", "c"), edge("c", "b")];
  expect([...pathThrough(edges, "b")].sort()).toEqual(["a", "b", "c", "y"]);
  expect([...pathThrough(edges, "x")].sort()).toEqual(["a", "x"]);
  const near = neighbours({ nodes: ["a", "b", "c", "x", "y"].map((id) => node(id)), edges, is_cut: false });
  expect(near.get("b")).toEqual({ before: ["a", "c"], after: ["c"] });
});

test("a node says what it is and links to its page", () => {
  expect(nodeFacts(node("r"))).toBe("run, finished");
  expect(nodeHref(node("r"))).toBe("/p/p/runs/r/artifacts");
  expect(nodeHref(node("r", { is_deleted: true }))).toBeUndefined();
  const version = node("v", { kind: "version", name: "data.x:v3", type: "dataset", state: "", is_deleted: true });
  expect(nodeFacts(version)).toBe("dataset, deleted");
  expect(nodeHref(version)).toBe("/p/p/artifacts/data.x/v3/lineage");
});

test("a graph is in layers from left to right, with no node over another, also in a circle", () => {
  const ids = Array.from({ length: 60 }, (_, at) => `n${at}`);
  const edges = ids.slice(1).map((id, at) => edge(ids[Math.floor(at / 3)]!, id));
  const lineage: Lineage = { nodes: ids.map((id) => node(id)), edges: [...edges, edge("n1", "n0")], is_cut: false };
  const found = placed(lineage);
  const boxes = ids.map((id) => found.nodes.get(id)!);
  for (const [at, { x, y }] of boxes.entries()) {
    expect(x).toBeGreaterThanOrEqual(NODE_WIDTH / 2);
    expect(y).toBeLessThanOrEqual(found.height - NODE_HEIGHT / 2);
    for (const other of boxes.slice(at + 1)) {
      expect(Math.abs(other.x - x) >= NODE_WIDTH || Math.abs(other.y - y) >= NODE_HEIGHT).toBe(true);
    }
  }
  expect(boxes[0]!.x).toBeLessThan(boxes[1]!.x);
  for (const [at, { source, target }] of lineage.edges.entries()) {
    const line = found.lines[at]!;
    expect(line[0]!.y).toBe(found.nodes.get(source)!.y);
    expect(line.at(-1)!.y).toBe(found.nodes.get(target)!.y);
  }
});

test("a line goes through its points", () => {
  expect(linePath([])).toBe("");
  expect(linePath([{ x: 0, y: 0 }, { x: 10, y: 4 }])).toBe("M0 0C5 0 5 4 10 4");
});

test("lines to copy quote names", () => {
  expect(useLines("data", "v3")).toBe('artifact = run.use_artifact("data:v3")\nfolder = artifact.download()');
  expect(logLines('a"b')).toContain('project="a\\"b"');
});

test("a graph fits the narrower side of its area, and is never enlarged", () => {
  expect(fitScale({ width: 780, height: 100 }, 390, 400)).toBe(0.5);
  expect(fitScale({ width: 100, height: 800 }, 390, 400)).toBe(0.5);
  expect(fitScale({ width: 100, height: 100 }, 390, 400)).toBe(1);
});
