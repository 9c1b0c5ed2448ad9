/** Routes: which page a path names, and back. */
import { expect, test } from "vitest";

import { parsePath, pathOf, RUN_TABS, type Route } from "../../src/state/routes.js";

test.each<[string, Route]>([
  ["/", { page: "projects" }],
  ["/status", { page: "status" }],
  ["/p/a%3Fb", { page: "charts", project: "a?b" }],
  ["/p/a/table", { page: "table", project: "a" }],
  ["/p/a/media", { page: "media", project: "a" }],
  ["/p/a/sweeps", { page: "sweeps", project: "a" }],
  ["/p/a/sweeps/x%3F1", { page: "sweep", project: "a", sweepId: "x?1" }],
  ["/p/a/reports", { page: "reports", project: "a" }],
  ["/p/a/reports/1f", { page: "report", project: "a", reportId: "1f", isEdited: false }],
  ["/p/a/reports/1f/edit", { page: "report", project: "a", reportId: "1f", isEdited: true }],
  ["/p/a/artifacts", { page: "artifacts", project: "a" }],
  ["/p/a/artifacts/data", { page: "version", project: "a", name: "data", version: "latest", tab: "overview" }],
  ["/p/a/artifacts/data/v3", { page: "version", project: "a", name: "data", version: "v3", tab: "overview" }],
  ["/p/a/artifacts/data/my%20best/lineage", { page: "version", project: "a", name: "data", version: "my best", tab: "lineage" }],
  ["/p/a/runs/x", { page: "run", project: "a", runId: "x", tab: "charts" }],
  ["/p/a/runs/x/logs", { page: "run", project: "a", runId: "x", tab: "logs" }],
])("%s is a page", (path, route) => {
  expect(parsePath(path)).toEqual(route);
});

test.each(["/p", "/nowhere", "/p/a%2Fb", "/p/a/sweeps/x%2F1", "/p/a/runs/x%2F1", "/p/a/artifacts/x%2F1", "/p/a/runs", "/p/a/runs/x/nowhere", "/p/a/sweeps/x/nowhere", "/p/a/runs/x/logs/1", "/p/a/reports/x/nowhere", "/p/a/reports/x/edit/1", "/p/a/artifacts/x/v1/nowhere", "/p/a/artifacts/x/v1/files/y", "/p/%E0%A4%A", "/status/x"])(
  "%s is no page",
  (path) => expect(parsePath(path)).toEqual({ page: "missing", path }),
);

test.each(["plain", "100%", "?#&=", "..", "späße", "<img src=x>", "a b"])(
  "a path brings a project and a run named %s back",
  (name) => {
    for (const tab of RUN_TABS) {
      const route: Route = { page: "run", project: name, runId: name, tab };
      const url = new URL(pathOf(route), "http://hub");
      // A browser removes the segments "." and "..", also when they are encoded.
      if (name !== "..") expect(parsePath(url.pathname)).toEqual(route);
    }
  },
);
