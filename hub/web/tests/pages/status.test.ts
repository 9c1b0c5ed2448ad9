/** The daemon's status in words. */
import { expect, test } from "vitest";

import { formatMoment } from "../../src/parts/format.js";
import { daemonText, lastFrameText } from "../../src/pages/status/daemonText.js";

test.each([
  ["started_at", 1_790_000_000_000_000, formatMoment(1_790_000_000)],
  ["uptime_seconds", 3720, "1 h 2 min"],
  ["oldest_unforwarded_seconds", 0, "0 s"],
  ["insert_seconds_mean", 0.25, "250 ms"],
  ["bytes_max", 4e9, "4 GB"],
  ["bytes", 1500, "1.5 kB"],
  ["bytes_received_per_second", 2000, "2 kB/s"],
  ["frames_received", 5, undefined],
  ["pid", 4711, undefined],
  ["started_at", "soon", undefined],
])("%s of %j", (key, value, text) => {
  expect(daemonText(key, value)).toBe(text);
});

test.each([
  [{ connected: true, relayed: false, seconds_since_last_frame: 3 }, "3 s ago"],
  [{ connected: false, relayed: true, seconds_since_last_frame: 3 }, "relayed, 3 s ago"],
  [{ connected: false, relayed: false, seconds_since_last_frame: 3 }, "not connected"],
  [{ connected: false }, "not connected"],
])("the last frame of %j", (writer, text) => {
  expect(lastFrameText(writer)).toBe(text);
});
