/** Which rows of a long list are in the document. */
import { expect, test } from "vitest";

import { rowWindow } from "../../src/parts/rowWindow.js";

test("every row that can be seen is there, and few others", () => {
  for (let top = 0; top < 28 * 1000; top += 13) {
    const { first, last } = rowWindow({ top, height: 700, rowHeight: 28, count: 1000 });
    expect(first).toBeLessThanOrEqual(Math.floor(top / 28));
    expect(last).toBeGreaterThanOrEqual(Math.min(1000, Math.ceil((top + 700) / 28)));
    expect(last - first).toBeLessThan(60);
  }
});

test("a list that became shorter than where it was scrolled to has no rows of nothing", () => {
  const { first, last } = rowWindow({ top: 28_000, height: 700, rowHeight: 28, count: 10 });
  expect([first, last]).toEqual([10, 10]);
});
