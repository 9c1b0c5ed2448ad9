/**
 * The codec of a page's query string: short keys, readable values, defaults left out. Pure.
 *
 *     const TABLE_VIEW = { q: text(), s: list(["-started"]), w: number(0) };
 *     readQuery(TABLE_VIEW, "?q=lr<1e-3&s=-val/loss")  ->  { q: "lr<1e-3", s: ["-val/loss"], w: 0 }
 *     writeQuery(TABLE_VIEW, { q: "", s: ["name"], w: 0 }, "")  ->  "?s=name"
 *
 * A value that a field cannot read counts as its default: an old or damaged address opens the
 * page, it never breaks it. Keys that the view does not declare are kept as they are.
 */

export interface Field<T> {
  /** The value, or null where the text is none. */
  parse(text: string): T | null;
  /** The text, or null where the value is the default and is left out. */
  format(value: T): string | null;
  readonly fallback: T;
}

export type View = Record<string, Field<any>>; // eslint-disable-line -- each field has its own type
export type ViewValues<V extends View> = { [K in keyof V]: V[K] extends Field<infer T> ? T : never };

export function text(fallback = ""): Field<string> {
  return {
    parse: (given) => given,
    format: (value) => (value === fallback ? null : value),
    fallback,
  };
}

export function oneOf<const T extends string>(names: readonly T[], fallback: NoInfer<T>): Field<T> {
  return {
    parse: (given) => names.find((name) => name === given) ?? null,
    format: (value) => (value === fallback ? null : value),
    fallback,
  };
}

export function number(fallback: number): Field<number> {
  return {
    parse: (given) => {
      const value = Number(given);
      return given.trim() === "" || !Number.isFinite(value) ? null : value;
    },
    format: (value) => (value === fallback ? null : String(value)),
    fallback,
  };
}

export function flag(): Field<boolean> {
  return {
    parse: (given) => given !== "0",
    format: (value) => (value ? "1" : null),
    fallback: false,
  };
}

/** Texts separated by commas; a comma and a backslash in a text carry a backslash before them. */
export function list(fallback: readonly string[] = []): Field<readonly string[]> {
  const join = (value: readonly string[]) =>
    value.map((item) => item.replace(/[\\,]/g, "\\$&")).join(",");
  return {
    parse: (given) => (given === "" ? [] : splitList(given)),
    format: (value) => (join(value) === join(fallback) ? null : join(value)),
    fallback,
  };
}

/** A range `first..last`; either side may be missing. */
export function range(): Field<readonly [number | null, number | null] | null> {
  const bound = (side: string) => (side === "" ? null : Number(side));
  return {
    parse: (given) => {
      const sides = given.split("..");
      const [first, last] = [bound(sides[0] ?? ""), bound(sides[1] ?? "")];
      const isBad = (side: number | null) => side !== null && !Number.isFinite(side);
      if (sides.length !== 2 || isBad(first) || isBad(last)) return null;
      return first === null && last === null ? null : [first, last];
    },
    format: (value) => (value === null ? null : `${value[0] ?? ""}..${value[1] ?? ""}`),
    fallback: null,
  };
}

export function readQuery<V extends View>(view: V, search: string): ViewValues<V> {
  const given = parsePairs(search);
  const values: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(view)) {
    const raw = given.find(([name]) => name === key)?.[1];
    values[key] = (raw === undefined ? null : field.parse(raw)) ?? field.fallback;
  }
  return values as ViewValues<V>;
}

/** The query string of `values`, "" or "?…", with the undeclared keys of `search` kept behind. */
export function writeQuery<V extends View>(
  view: V,
  values: ViewValues<V>,
  search: string,
): string {
  const pairs: string[] = [];
  for (const [key, field] of Object.entries(view)) {
    const formatted = field.format(values[key]);
    if (formatted !== null) pairs.push(`${key}=${escape(formatted)}`);
  }
  for (const [key, raw] of parsePairs(search)) {
    if (!Object.hasOwn(view, key)) pairs.push(`${escape(key)}=${escape(raw)}`);
  }
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
}

function parsePairs(search: string): [string, string][] {
  return [...new URLSearchParams(search)];
}

/** Percent-encode only what a query cannot hold as it is; a space becomes `+`. */
function escape(value: string): string {
  return encodeURIComponent(value).replace(/%(20|2F|3A|2C|5E|7C|24|40|3B|28|29|2A|5B|5D)/g, (code) =>
    code === "%20" ? "+" : decodeURIComponent(code),
  );
}

function splitList(given: string): string[] {
  const items: string[] = [""];
  for (let at = 0; at < given.length; at++) {
    const char = given[at] as string;
    if (char === ",") items.push("");
    else items[items.length - 1] += char === "\\" ? (given[++at] ?? "") : char;
  }
  return items;
}
