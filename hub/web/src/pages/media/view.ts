/** The part of the query string for media. Pure. */
import { list, type Field, type ViewValues } from "../../state/query.js";

/** A whole number, or null: the newest. */
function step(): Field<number | null> {
  return {
    parse: (given) => (/^-?\d{1,15}$/.test(given) ? Number(given) : null),
    format: (value) => (value === null ? null : String(value)),
    fallback: null,
  };
}

export const MEDIA_FIELDS = {
  /** The step of all panels; without it the newest. */
  step: step(),
  /** Panels with a step of their own: metric, step, metric, step, … ("" is the newest). */
  own: list(),
  /** How tables are searched, filtered and sorted, see datatable/address.ts. */
  tables: list(),
};

export type MediaValues = ViewValues<typeof MEDIA_FIELDS>;

/** The steps of the panels that have one of their own, by metric. */
export function ownSteps(own: readonly string[]): Map<string, number | null> {
  const found = new Map<string, number | null>();
  for (let at = 0; at + 1 < own.length; at += 2) found.set(own[at]!, step().parse(own[at + 1]!));
  return found;
}

export function formatOwnSteps(steps: ReadonlyMap<string, number | null>): string[] {
  return [...steps].flatMap(([metric, own]) => [metric, own === null ? "" : String(own)]);
}
