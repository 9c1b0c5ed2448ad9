/** Columns of runs, their sort, and where a filter is wrong. */
import { expect, test } from "vitest";

import { columnsToAsk, columnTitles, sortAfterClick, sortOf, sortPlace } from "../../src/state/columns.js";
import { splitAtError } from "../../src/parts/filterError.js";
import { exitCodeText, shownState } from "../../src/parts/shownState.js";
import titleCases from "./columnTitles.json";
import { railColumns, tableColumns } from "../../src/state/defaultColumns.js";

test("clicks on a header go round", () => {
  const first = sortAfterClick(["-started"], "config.lr");
  const second = sortAfterClick(first, "config.lr");
  expect([first, second, sortAfterClick(second, "config.lr")]).toEqual([["-config.lr"], ["config.lr"], ["-started"]]);
});

test("with Shift a column joins those that sort already", () => {
  expect(sortAfterClick(["-started", "name"], "started", { isMore: true })).toEqual(["name", "started"]);
  expect(sortAfterClick(["a"], "a", { isMore: true })).toEqual(["-started"]);
  expect(sortOf(["-a", "b"], "b")).toBe("ascending");
});

test("a run's own facts are not asked for again", () => {
  expect(columnsToAsk(["state", "config.lr", "host", "metric.loss:min"])).toEqual(["config.lr", "metric.loss:min"]);
});

test.each(titleCases)("titles of $columns leave out where the values come from, unless two would be the same", ({ columns, titles }) => {
  expect([...columnTitles(columns).values()]).toEqual(titles);
});

test("a sort by several columns numbers them", () => {
  expect(sortPlace(["-a", "b"], "a")).toBe(1);
  expect(sortPlace(["-a", "b"], "b")).toBe(2);
  expect(sortPlace(["-a", "b"], "c")).toBeNull();
  expect(sortPlace(["-a"], "a")).toBeNull();
});

test.each([
  ["lr<<1", { position: 3, length: 1 }, ["lr<", "<", "1"]],
  ["a:😀 b", { position: 2, length: 1 }, ["a:", "😀", " b"]],
  ["lr<", { position: 3 }, ["lr<", "\u00a0", ""]],
  ["lr<", {}, ["", "lr<", ""]],
  ["x", { position: 99, length: 5 }, ["x", "\u00a0", ""]],
])("the error in %j is underlined", (text, error, [before, wrong, after]) => {
  expect(splitAtError(text, error)).toEqual({ before, wrong, after });
});

test("a running run of which nothing came for a minute is stale", () => {
  const run = { state: "running", exitCode: null, now: 1000 };
  expect(shownState({ ...run, lastSeen: 941 }).kind).toBe("live");
  expect(shownState({ ...run, lastSeen: 941 }).word).toBe("running");
  expect(shownState({ ...run, lastSeen: 939 }).kind).toBe("stale");
  expect(shownState({ ...run, state: "crashed", lastSeen: 939, exitCode: 137 }).title).toContain("137");
  expect(shownState({ ...run, state: "crashed", lastSeen: 939, exitCode: -1 }).title).toContain("exit code unknown");
  expect(shownState({ ...run, state: "killed", lastSeen: 939, exitCode: 143 }).title).toContain("SIGTERM ended it, exit code 143");
  expect(shownState({ ...run, state: "killed", lastSeen: 939, exitCode: 255 }).title).toContain("a signal ended it");
  expect(exitCodeText(143, "killed")).toBe("143 (SIGTERM)");
  expect(exitCodeText(143, "failed")).toBe("143");
});

const key = (kind: string, path: string, type = "float", run_count = 1) => ({ kind, path, types: [type], run_count });

test("the rail shows numbers of the summary, a validation loss first", () => {
  const keys = [
    key("summary", "_step"), key("summary", "note", "string"), key("summary", "train/loss"),
    key("summary", "val/loss"), key("config", "loss_weight"),
  ];
  expect(railColumns(keys)).toEqual(["summary.val/loss", "summary.train/loss"]);
  expect(railColumns([])).toEqual([]);
});

test("the table shows what a run is, its settings and its results", () => {
  const keys = [key("config", "seed", "int", 9), key("config", "model", "string"), key("config", "lr"), key("summary", "acc")];
  expect(tableColumns(keys).slice(4)).toEqual(["config.lr", "config.model", "config.seed", "summary.acc"]);
});

test("the settings of a library, deep in a config, come last", () => {
  const deep = key("config", "learner.gradient_booster.tree_train_param.learning_rate", "string", 9);
  const keys = [deep, key("config", "fold"), key("summary", "some"), key("summary", "valid-auc")];
  expect(tableColumns(keys).slice(4)).toEqual([
    "config.fold", `config.${deep.path}`, "summary.valid-auc", "summary.some",
  ]);
});
