/** How numbers, moments and durations are written on the page. Pure. */
import { encodeJson, type Value } from "../api/values.js";

const SIGNIFICANT = 5;

/**
 * A number in few characters: 5 significant digits, an exponent only where it is shorter.
 *
 * The minus is that of the keyboard, here and in charts: a number that is copied can be pasted into code.
 */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "-∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e10) return String(value);
  if (size >= 1e5 && size < 1e10) return String(Math.round(value));
  const isPlain = size >= 1e-3 && size < 1e5;
  const digits = isPlain ? value.toPrecision(SIGNIFICANT) : value.toExponential(SIGNIFICANT - 2);
  const [mantissa = "", exponent] = digits.split("e");
  const trimmed = mantissa.includes(".") ? mantissa.replace(/\.?0+$/, "") : mantissa;
  return exponent === undefined ? trimmed : `${trimmed}e${exponent.replace("+", "")}`;
}

const GROUPED = new Intl.NumberFormat("en-US");

/** A count with its thousands apart: 12,345. */
export function formatCount(count: number): string {
  return GROUPED.format(count);
}

/** A count with its noun: "1 run", "12,345 runs". */
export function formatAmount(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** Bytes in units of 1,000. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let at = 0;
  let size = bytes;
  while (size >= 999.5 && at < units.length - 1) {
    size /= 1000;
    at++;
  }
  return `${at === 0 ? size : Number(size.toPrecision(3))} ${units[at]}`;
}

/** Seconds as two units at most: 4 s, 3 min 20 s, 5 h 2 min, 3 d 4 h. */
export function formatDuration(seconds: number): string {
  if (seconds < 0) return `-${formatDuration(-seconds)}`;
  if (seconds > 0 && seconds < 0.1) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const pairs: [number, string, number, string][] = [
    [60, "min", 1, "s"],
    [3600, "h", 60, "min"],
    [86400, "d", 3600, "h"],
  ];
  const [big, bigName, small, smallName] = pairs.findLast(([unit]) => whole >= unit)!;
  const rest = Math.floor((whole % big) / small);
  return rest === 0 ? `${Math.floor(whole / big)} ${bigName}` : `${Math.floor(whole / big)} ${bigName} ${rest} ${smallName}`;
}

/** How long ago: "now", "5 min ago", "3 d ago". Both in seconds. */
export function formatAge(moment: number, now: number): string {
  const seconds = now - moment;
  if (seconds < 5) return "now";
  const [amount = "", unit = ""] = formatDuration(seconds).split(" ");
  return `${Math.floor(Number(amount))} ${unit} ago`;
}

/** A moment in the viewer's time zone: 2026-11-26 08:15:02. */
export function formatMoment(seconds: number): string {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return "?";
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** Any value of config or summary on one line. */
export function formatValue(value: Value | undefined): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return formatNumber(value);
  if (typeof value === "string") return value;
  if (typeof value === "boolean" || typeof value === "bigint") return String(value);
  return encodeJson(value);
}

/** Any value with all its digits. */
export function formatExact(value: Value | undefined): string {
  return typeof value === "number" && Number.isFinite(value) ? String(value) : formatValue(value);
}
