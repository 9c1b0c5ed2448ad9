/** Numbers, moments and durations as short text. */

const SUFFIXES = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
] as const;

/** Label of a tick; `step` is the distance of ticks, 0 where they are not even. */
export function formatTick(value: number, step: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e15 || size < 1e-4) return exponent(value, step);
  const unit = SUFFIXES.find(([least]) => size >= least * 10 || (size >= least && least > 1e3));
  if (unit !== undefined || size >= 1e4) {
    const [divisor, suffix] = unit ?? SUFFIXES[3];
    return String(Number(trimmed(value / divisor, step / divisor))) + suffix;
  }
  return trimmed(value, step);
}

function trimmed(value: number, step: number): string {
  if (!(step > 0)) return String(Number(value.toPrecision(4)));
  return value.toFixed(decimalsOf(step));
}

/** Decimals that a multiple of the step needs: 0.25 has two. */
function decimalsOf(step: number): number {
  let decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const scaled = step * 10 ** decimals;
  if (Math.abs(scaled - Math.round(scaled)) > 1e-6) decimals++;
  return Math.min(12, decimals);
}

function exponent(value: number, step: number): string {
  const power = Math.floor(Math.log10(Math.abs(value)) + 1e-12);
  const decimals = step > 0 ? Math.min(6, decimalsOf(step / 10 ** power)) : 0;
  // The smallest numbers have powers of ten that are 0 as a number.
  if (power < -307) return value.toExponential(decimals);
  return `${(value / 10 ** power).toFixed(decimals)}e${power}`;
}

/** A value in a read-out: five significant digits, the same width for near values; integers below 10^15 are not shortened. */
export function formatValue(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e15) return value.toString();
  if (size >= 1e7 || size < 1e-4) return value.toExponential(3).replace("e+", "e");
  if (size >= 1e5) return Math.round(value).toString();
  const digits = Math.max(0, 4 - Math.floor(Math.log10(size)));
  return value.toFixed(Math.min(digits, 6));
}

/** A count of points: 950, 1.2 k, 1.0 M. */
export function formatCount(count: number): string {
  for (const [least, suffix] of SUFFIXES)
    if (count >= least) return `${threeDigits(count / least)} ${suffix}`;
  return String(count);
}

function threeDigits(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toFixed(1);
}

/** Seconds as a duration; `step` (seconds) decides how fine. */
export function formatDuration(seconds: number, step = 0): string {
  const sign = seconds < 0 ? "-" : "";
  const size = Math.abs(seconds);
  if (size === 0) return "0";
  if (size < 60)
    return `${sign}${step > 0 && step < 1 ? trimmed(size, step) : Number(size.toPrecision(3))}s`;
  const total = Math.round(size);
  const [days, hours, minutes, rest] = [
    Math.floor(total / 86400),
    Math.floor(total / 3600) % 24,
    Math.floor(total / 60) % 60,
    total % 60,
  ];
  if (days > 0) return `${sign}${days}d${hours > 0 ? `${hours}h` : ""}`;
  if (hours > 0)
    return `${sign}${hours}h${minutes > 0 ? `${String(minutes).padStart(2, "0")}m` : ""}`;
  return `${sign}${minutes}m${rest > 0 ? `${String(rest).padStart(2, "0")}s` : ""}`;
}

export interface ClockOptions {
  /** Default: local time. */
  readonly isUtc?: boolean;
  /** Dates have their year. */
  readonly hasYear?: boolean;
}

/** Time of day, or the date at midnight; `step` (seconds) decides how fine. */
export function formatClock(seconds: number, step: number, { isUtc = false, hasYear = false }: ClockOptions = {}): string {
  const moment = new Date(seconds * 1000);
  const two = (n: number): string => String(n).padStart(2, "0");
  const [hour, minute, second] = isUtc
    ? [moment.getUTCHours(), moment.getUTCMinutes(), moment.getUTCSeconds()]
    : [moment.getHours(), moment.getMinutes(), moment.getSeconds()];
  const isMidnight = hour === 0 && minute === 0 && second === 0;
  if (step >= 86400 || (isMidnight && step >= 60)) {
    const day = { day: "numeric", month: "short" } as const;
    return moment.toLocaleDateString(undefined, { ...day, ...(hasYear && { year: "numeric" }), ...(isUtc && { timeZone: "UTC" }) });
  }
  const minutes = `${two(hour)}:${two(minute)}`;
  if (step >= 60) return minutes;
  const whole = `${minutes}:${two(second)}`;
  return step < 1 ? `${whole}.${String(moment.getMilliseconds()).padStart(3, "0")}` : whole;
}

/** A moment in full, for read-outs: day and local time of day. */
export function formatMoment(seconds: number): string {
  const moment = new Date(seconds * 1000);
  const two = (n: number): string => String(n).padStart(2, "0");
  const day = moment.toLocaleDateString(undefined, { day: "numeric", month: "short" });
  return `${day} ${two(moment.getHours())}:${two(moment.getMinutes())}:${two(moment.getSeconds())}`;
}

/** A moment of logged data in UTC, with a fraction of a second if it has one: 2026-11-26 08:15:02.250. */
export function formatUtc(microseconds: number | bigint): string {
  if (typeof microseconds === "number" && !Number.isFinite(microseconds)) return "?";
  // Moments beyond the year 2255 are larger than the numbers that are exact.
  const whole = typeof microseconds === "bigint" ? microseconds : BigInt(Math.round(microseconds));
  const rest = ((whole % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const date = new Date(Number((whole - rest) / 1000n));
  if (Number.isNaN(date.getTime())) return "?";
  const digits = String(rest).padStart(6, "0").replace(/000$/, "");
  return `${date.toISOString().slice(0, -5).replace("T", " ")}${rest === 0n ? "" : `.${digits}`}`;
}

/** x in a read-out. */
export function formatX(value: number, unit: "number" | "time" | "utc" | "relative"): string {
  if (unit === "time") return formatMoment(value / 1e6);
  if (unit === "utc") return formatUtc(value);
  if (unit === "relative") return formatDuration(value / 1e6);
  return Number.isInteger(value)
    ? value.toLocaleString("en").replaceAll(",", "\u202f")
    : formatValue(value);
}
