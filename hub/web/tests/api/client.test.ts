/** Requests: what is sent to its end though the tab is closed. */
import { afterEach, expect, test, vi } from "vitest";

import { request } from "../../src/api/client.js";

afterEach(() => vi.unstubAllGlobals());

test.each([
  ["PATCH", { name: "x" }, true],
  ["PATCH", { notes: "x".repeat(30_000) }, undefined],
  ["DELETE", undefined, true],
  ["GET", undefined, undefined],
  ["POST", {}, undefined],
])("%s of %j", async (method, body, keepalive) => {
  const sent: RequestInit[] = [];
  vi.stubGlobal("fetch", async (_: string, init: RequestInit) => {
    sent.push(init);
    return new Response(null, { status: 204 });
  });
  await request(method, "/x", { body });
  expect(sent[0]!.keepalive).toBe(keepalive);
});
