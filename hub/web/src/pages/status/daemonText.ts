/** Values of the daemon's status as people read them. Pure. */
import { formatBytes, formatDuration, formatMoment } from "../../parts/format.js";
import type { Value, ValueMap } from "../../api/values.js";

const MICROSECONDS = 1e6;

/** Moments, durations and sizes by what their name ends with; undefined for other values. */
export function daemonText(key: string, value: Value): string | undefined {
  if (typeof value !== "number" || !Number.isFinite(value)) return undefined;
  if (key.endsWith("_at")) return value > 0 ? formatMoment(value / MICROSECONDS) : "never";
  if (/(^|_)seconds(_|$)/.test(key))
    return value > 0 && value < 1 ? `${Number((value * 1000).toPrecision(3))} ms` : formatDuration(value);
  if (key.endsWith("_bytes_per_second") || key === "bytes_received_per_second") return `${formatBytes(Math.round(value))}/s`;
  if (/(^|_)bytes(_|$)/.test(key)) return formatBytes(Math.round(value));
  return undefined;
}

/** When the writer's last frame came, and whether another daemon relays it. */
export function lastFrameText(writer: ValueMap): string {
  const silence = writer["seconds_since_last_frame"];
  const ago = typeof silence === "number" ? `${formatDuration(silence)} ago` : "";
  if (writer["connected"] !== false) return ago;
  return writer["relayed"] === true ? `relayed, ${ago}` : "not connected";
}
