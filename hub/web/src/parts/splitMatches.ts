/** Where a search matches in a line, for marking. Pure. */

export interface Piece {
  text: string;
  isMatch: boolean;
}

const MATCHES_MAX = 100;
/** A repeated group can take very long in the browser, which backtracks; RE2 does not. */
const REPEATED_GROUP = /\)[*+?{]/;

/**
 * The hub searches with RE2; the browser's expressions are nearly the same. One that it cannot
 * read marks nothing: which lines match is the hub's to say.
 */
export function splitMatches(text: string, search: string): Piece[] {
  if (REPEATED_GROUP.test(search)) return [{ text, isMatch: false }];
  let pattern: RegExp;
  try {
    const ignoresCase = search.startsWith("(?i)");
    pattern = new RegExp(ignoresCase ? search.slice(4) : search, ignoresCase ? "gi" : "g");
  } catch {
    return [{ text, isMatch: false }];
  }
  const pieces: Piece[] = [];
  let from = 0;
  for (const match of text.matchAll(pattern)) {
    if (match[0] === "") continue;
    if (pieces.length >= MATCHES_MAX) break;
    if (match.index > from) pieces.push({ text: text.slice(from, match.index), isMatch: false });
    pieces.push({ text: match[0], isMatch: true });
    from = match.index + match[0].length;
  }
  if (from < text.length) pieces.push({ text: text.slice(from), isMatch: false });
  return pieces;
}
