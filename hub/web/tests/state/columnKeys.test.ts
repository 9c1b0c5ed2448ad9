/** Keys of a summary: metrics and what was set by hand. */
import { expect, test } from "vitest";

import { joinSummary } from "../../src/state/columnKeys.js";
import { LIKELY_RESULTS } from "../../src/state/defaultColumns.js";

test("a metric that was also set by hand is one key, with the types of the hand", () => {
  const byHand = [{ kind: "summary", path: "val/acc", types: ["text"], run_count: 2 }];
  const metrics = [
    { metric: "val/acc", run_count: 3, point_count: 9, step_metric: null },
    { metric: "a/loss", run_count: null, point_count: 9, step_metric: null },
  ];
  expect(joinSummary(byHand, metrics)).toEqual([
    { kind: "summary", path: "a/loss", types: ["float"], run_count: 0 },
    byHand[0],
  ]);
});

test("likely names say nothing that RE2 cannot read", () => {
  for (const { source } of LIKELY_RESULTS) expect(source).not.toMatch(/\(\?[=!<]|\\\d/);
});
