/**
 * Values of config, summary and columns as JSON carries them. Pure.
 *
 * {"$float": "NaN" | "Infinity" | "-Infinity"} is that number, {"$int": "123…"} an integer beyond
 * 2^53, a bigint here.
 */
export type Value = null | boolean | number | bigint | string | readonly Value[] | ValueMap;
export interface ValueMap {
  readonly [key: string]: Value;
}

const FLOATS: ReadonlyMap<unknown, number> = new Map([
  ["NaN", NaN],
  ["Infinity", Infinity],
  ["-Infinity", -Infinity],
]);

export function decodeJson(text: string): unknown {
  // The reviver costs time on each value, and most answers hold no marked number.
  return text.includes('{"$') ? JSON.parse(text, revive) : JSON.parse(text);
}

function revive(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const keys = Object.keys(value);
  if (keys.length !== 1) return value;
  if (keys[0] === "$float") return FLOATS.get((value as { $float: unknown }).$float) ?? value;
  if (keys[0] === "$int") {
    const digits = (value as { $int: unknown }).$int;
    return typeof digits === "string" && /^-?\d+$/.test(digits) ? BigInt(digits) : value;
  }
  return value;
}

/** JSON with all digits of integers. Numbers that JSON does not have are texts: "NaN". */
export function encodeJson(value: Value, indent = 0): string {
  return written(value, indent, "\n");
}

function written(value: Value, indent: number, line: string): string {
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number" && !Number.isFinite(value)) return `"${value}"`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const inner = line + " ".repeat(indent);
  const [open, close, items] = isValueMap(value)
    ? ["{", "}", Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}:${indent > 0 ? " " : ""}${written(item, indent, inner)}`)]
    : ["[", "]", (value as readonly Value[]).map((item) => written(item, indent, inner))];
  if (items.length === 0) return open + close;
  return indent > 0 ? `${open}${inner}${items.join(`,${inner}`)}${line}${close}` : `${open}${items.join(",")}${close}`;
}

export function isValueMap(value: Value | undefined): value is ValueMap {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
