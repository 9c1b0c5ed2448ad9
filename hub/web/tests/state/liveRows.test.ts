import { expect, test } from "vitest";

import { metricsOf } from "../../src/state/liveRows.js";

test("the metrics of columns", () => {
  expect(metricsOf(["state", "config.lr", "summary.val/loss", "metric.loss:min", "metric.loss:max", "metric.a:b:last"])).toEqual([
    "val/loss", "loss", "a:b",
  ]);
});
