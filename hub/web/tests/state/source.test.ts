/** Where a run's code came from. */
import { expect, test } from "vitest";

import { sourceOf } from "../../src/state/source.js";

test("a command is what one would type", () => {
  const line = ["/usr/bin/python", "train.py", "--name", "it's big", ""];
  const { command, folder } = sourceOf({ command: { line, folder: "/home/a" } });
  expect(command).toBe("/usr/bin/python train.py --name 'it'\\''s big' ''");
  expect(folder).toBe("/home/a");
  expect(sourceOf({ command: "python x.py" }).command).toBe("python x.py");
});

test("what is missing or of another kind is empty", () => {
  const none = { command: "", folder: "", commit: "", branch: "", remote: "", isDirty: false, python: "" };
  expect(sourceOf({})).toEqual(none);
  expect(sourceOf({ git: "main", command: 3, python: null })).toEqual(none);
});

test("git and Python are read", () => {
  const git = { commit: "85630cc", branch: "main", dirty: true };
  expect(sourceOf({ git, python: { version: "3.11.7" } })).toMatchObject({ commit: "85630cc", isDirty: true, python: "3.11.7" });
});
