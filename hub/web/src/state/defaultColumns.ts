/** The columns that a page shows before the viewer chose some. Pure. */
import type { AttributeKey } from "../api/types.js";

type Key = Pick<AttributeKey, "kind" | "path" | "types" | "run_count">;

/** Names of results, likeliest first; RE2 reads them too. */
export const LIKELY_RESULTS = [
  /^(val|valid|eval|test).*loss/i, /loss/i, /acc/i, /score|auc|reward|bleu|f1|perplexity|ppl/i,
];
const LIKELY_SETTINGS = [/^(lr|learning_rate)$/i, /(^|[./_])lr$|learning_rate/i, /batch/i, /model/i, /optim/i, /seed/i];

const RAIL_COUNT = 2;
const TABLE_COUNT = 4;
/** A path of more names is a library's own settings, which may be hundreds. */
const NAMES_MAX = 3;

/** At most two numbers of the summary that tell a run's worth. */
export function railColumns(keys: readonly Key[]): string[] {
  return likely(keys.filter((key) => key.kind === "summary" && isNumeric(key)), LIKELY_RESULTS, RAIL_COUNT);
}

/** What a run is, then its likeliest settings and results. */
export function tableColumns(keys: readonly Key[]): string[] {
  const settings = keys.filter(({ kind }) => kind === "config");
  const results = keys.filter((key) => key.kind === "summary" && isNumeric(key));
  return [
    "state", "started", "duration", "tags",
    ...likely(settings, LIKELY_SETTINGS, TABLE_COUNT),
    ...likely(results, LIKELY_RESULTS, TABLE_COUNT),
  ];
}

function likely(keys: readonly Key[], patterns: readonly RegExp[], count: number): string[] {
  const rank = ({ path }: Key) => {
    if (path.split(".").length > NAMES_MAX) return patterns.length + 1;
    const at = patterns.findIndex((pattern) => pattern.test(path));
    return at < 0 ? patterns.length : at;
  };
  return keys
    .filter(({ path }) => !path.startsWith("_"))
    .toSorted((a, b) => rank(a) - rank(b) || b.run_count - a.run_count)
    .slice(0, count)
    .map(({ kind, path }) => `${kind}.${path}`);
}

function isNumeric({ types }: Key): boolean {
  return types.some((type) => /^(int|float|number)/i.test(type));
}
