/** Reports: a draft keeps what was typed, panels ask for their runs, text lands where it should. */
import { expect, test, vi } from "vitest";

import { ApiError } from "../../src/api/errors.js";
import type { Block, Report } from "../../src/api/reports.js";
import type { RunsPage } from "../../src/api/types.js";
import { makeDraft, type Keeper, type Kept, type Save } from "../../src/pages/reports/draft.js";
import { insertedAt, lineStart } from "../../src/pages/reports/editing.js";
import { blockKeys, cutText, metricPattern, missingMetrics, neededMetrics, runsQuery, withCut } from "../../src/pages/reports/fields.js";

const REPORT: Report = { id: "r1", project: "p", title: "T", text: "one", version: 3, created_at: 1, updated_at: 2 };
const CONFLICT = new ApiError(409, "report_changed", "saved as version 4");

function keeper(kept: Kept | null = null): Keeper & { kept: Kept | null } {
  const made = {
    kept,
    read: () => made.kept,
    write: (_id: string, next: Kept | null) => void (made.kept = next),
  };
  return made;
}

const accepts: Save = async (id, body) => ({ ...REPORT, ...body, id, version: body.version + 1 });

test("what is typed is unsaved, kept in the browser, and saved on the version it is based on", async () => {
  const kept = keeper();
  const save = vi.fn(accepts);
  const draft = makeDraft(REPORT, save, kept, () => 77);
  expect([draft.isUnsaved.value, draft.restoredAt.value]).toEqual([false, null]);
  draft.change({ text: "two" });
  expect(draft.isUnsaved.value).toBe(true);
  expect(kept.kept).toEqual({ version: 3, title: "T", text: "two", at: 77 });
  expect(await draft.save()).toBe(true);
  expect(save).toHaveBeenCalledWith("r1", { version: 3, title: "T", text: "two" });
  expect([draft.isUnsaved.value, draft.saved.value.version, kept.kept]).toEqual([false, 4, null]);
});

test("what is typed while a save is on its way stays unsaved", async () => {
  const kept = keeper();
  let answer: (report: Report) => void = () => undefined;
  const draft = makeDraft(REPORT, () => new Promise((resolve) => (answer = resolve)), kept, () => 0);
  draft.change({ text: "two" });
  const saving = draft.save();
  expect(await draft.save()).toBe(false);
  draft.change({ text: "three" });
  answer({ ...REPORT, text: "two", version: 4 });
  await saving;
  expect([draft.text.value, draft.isUnsaved.value]).toEqual(["three", true]);
  expect(kept.kept).toMatchObject({ version: 4, text: "three" });
});

test("a refused save loses nothing; over the newer version it is saved", async () => {
  const kept = keeper();
  const save = vi.fn(accepts).mockRejectedValueOnce(CONFLICT);
  const draft = makeDraft(REPORT, save, kept, () => 0);
  draft.change({ title: "Mine", text: "mine" });
  expect(await draft.save()).toBe(false);
  expect([draft.isConflict.value, draft.text.value, kept.kept?.text]).toEqual([true, "mine", "mine"]);
  draft.rebase({ ...REPORT, text: "theirs", version: 4 });
  expect([draft.isConflict.value, draft.isUnsaved.value]).toEqual([false, true]);
  expect(await draft.save()).toBe(true);
  expect(save).toHaveBeenLastCalledWith("r1", { version: 4, title: "Mine", text: "mine" });
});

test("another failure is no conflict", async () => {
  const draft = makeDraft(REPORT, () => Promise.reject(new Error("away")), keeper(), () => 0);
  draft.change({ text: "two" });
  await draft.save();
  expect([draft.isConflict.value, draft.failure.value?.message, draft.text.value]).toEqual([false, "away", "two"]);
});

test("an unsaved text that the browser kept comes back, on the version it was based on", () => {
  const kept = keeper({ version: 2, title: "T", text: "older work", at: 55 });
  const draft = makeDraft(REPORT, accepts, kept, () => 0);
  expect([draft.text.value, draft.restoredAt.value, draft.saved.value.version]).toEqual(["older work", 55, 2]);
  expect(draft.isUnsaved.value).toBe(true);
  draft.discard(REPORT);
  expect([draft.text.value, draft.isUnsaved.value, kept.kept]).toEqual(["one", false, null]);
});

test("a kept text that is saved already is not told of", () => {
  const draft = makeDraft(REPORT, accepts, keeper({ version: 2, title: "T", text: "one", at: 5 }), () => 0);
  expect([draft.restoredAt.value, draft.isUnsaved.value]).toEqual([null, false]);
});

test("a panel asks for its runs by a filter, or by their ids, also archived ones", () => {
  const fields = { runs: "tag:a", ids: [], sort: ["-started"], limit: 5 };
  expect(runsQuery(fields, ["state", "config.lr"])).toMatchObject({
    filter: "tag:a", sort: ["-started"], columns: ["config.lr"], limit: 5, archived: false,
  });
  expect(runsQuery({ ...fields, runs: "", ids: ["a", 'b"c'] })).toMatchObject({
    filter: 'id:"a"|id:"b\\"c"', archived: true,
  });
});

test("a panel draws runs that have its metric, unless they are named or a pattern chooses", () => {
  expect(neededMetrics({ metric: "samples", ids: [] })).toEqual(["samples"]);
  expect(neededMetrics({ metrics: ["a", "b"], match: "" })).toEqual(["a", "b"]);
  expect(neededMetrics({ metrics: ["a"], match: "^val/" })).toEqual([]);
  expect(neededMetrics({ metric: "samples", ids: ["r1"] })).toEqual([]);
  expect(neededMetrics({ columns: ["state"] })).toEqual([]);
});

test("a panel with fewer runs than match gives both numbers", () => {
  const page = (total: number | null, next_cursor: string | null = "c"): RunsPage =>
    ({ runs: [{}, {}], total, next_cursor }) as unknown as RunsPage;
  const fields = { sort: ["-started"], limit: 2 };
  expect(cutText(fields, page(1500))).toBe("The newest 2 of 1,500 runs (limit: 2)");
  expect(cutText({ ...fields, sort: ["config.lr"] }, page(3))).toBe("The first 2 of 3 runs (limit: 2)");
  expect(cutText({ metric: "a" }, page(null))).toBe("The newest 2 of more than 2 runs");
  expect(cutText(fields, page(2, null))).toBe("");
  expect(withCut("None", "The newest 2 of 3 runs")).toBe("None. The newest 2 of 3 runs");
});

test.each([
  [{ metrics: ["val/loss", "a.b"], match: "" }, "^(?:val/loss|a\\.b)$"],
  [{ metrics: [], match: "^val/" }, "(?:^val/)"],
  [{ metrics: ["a"], match: "b|c" }, "^(?:a)$|(?:b|c)"],
])("the pattern of %j", (fields, pattern) => {
  expect(metricPattern(fields)).toBe(pattern);
  expect(new RegExp(pattern).test("val/loss")).toBe(pattern.includes("val"));
});

test("a panel keeps its key while the text around it changes", () => {
  const text = (line: number): Block => ({ line, nodes: ["x"], panel: "", fields: null, problems: [], source: "" });
  const panel = (line: number, metric: string): Block => ({
    line, nodes: [], panel: "value", fields: { metric }, problems: [], source: "",
  });
  const before = blockKeys([text(1), panel(3, "a"), panel(6, "a"), panel(9, "b")]);
  const after = blockKeys([text(1), panel(8, "a"), text(10), panel(12, "a"), panel(16, "b")]);
  expect(new Set(before).size).toBe(4);
  expect([after[1], after[3], after[4]]).toEqual(before.slice(1));
});

test("an example goes behind the line of the cursor as a paragraph of its own", () => {
  const block = "```stepwell\npanel: runs\n```\n";
  expect(insertedAt("", 0, block)).toEqual({ text: block, cursor: block.length });
  expect(insertedAt("one", 2, block).text).toBe(`one\n\n${block}`);
  const { text, cursor } = insertedAt("one\n\n\ntwo", 1, block);
  expect(text).toBe(`one\n\n${block}\ntwo`);
  expect(text.slice(cursor)).toBe("\ntwo");
});

test.each([
  [1, [0, 1]],
  [2, [2, 4]],
  [3, [5, 5]],
  [9, [5, 5]],
])("line %i of a text", (line, place) => {
  expect(lineStart("a\nbb\n", line)).toEqual(place);
});

test("a named metric that the runs lack is missing once their metrics are known", () => {
  expect(missingMetrics(["loss", "nosuch"], null)).toEqual([]);
  expect(missingMetrics(["loss", "nosuch"], ["acc", "loss"])).toEqual(["nosuch"]);
});
