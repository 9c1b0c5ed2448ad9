/** The size budget of the build. */
import { expect, test } from "vitest";

import { ENTRY_SCRIPT_BYTES_MAX, measure, overruns } from "../../vite/budget.js";

const chunk = (fileName: string, code: string, imports: string[] = [], isEntry = false) => ({
  type: "chunk", fileName, code, imports, isEntry,
});

/** A text that gzip cannot shrink to less than about `bytes`. */
function noise(bytes: number): string {
  let state = 1;
  const next = () => (state = (state * 48271) % 2147483647);
  return Array.from({ length: bytes * 2 }, () => String.fromCharCode(33 + (next() % 90))).join("");
}

test("what the entry imports statically counts as the entry, the rest as lazy", () => {
  const sizes = measure({
    "main.js": chunk("main.js", "a".repeat(100), ["shared.js"], true),
    "shared.js": chunk("shared.js", "b".repeat(100)),
    "room.js": chunk("room.js", "c".repeat(100), ["shared.js"]),
    "page.css": { type: "asset", fileName: "page.css", source: "d{}" },
  } as never);
  expect(sizes.total).toBe(303);
  expect(Object.keys(sizes.lazy)).toEqual(["room.js"]);
  expect(sizes.entry).toBeGreaterThan(sizes.lazy["room.js"] as number);
  expect(overruns(sizes)).toEqual([]);
});

test("an entry that is too large is named", () => {
  const sizes = measure({ "main.js": chunk("main.js", noise(ENTRY_SCRIPT_BYTES_MAX), [], true) } as never);
  expect(overruns(sizes)).toEqual([expect.stringContaining("the entry script")]);
});
