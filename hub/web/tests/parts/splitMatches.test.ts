/** Marks of a search in a line. */
import { expect, test } from "vitest";

import { splitMatches } from "../../src/parts/splitMatches.js";

const marked = (text: string, search: string) =>
  splitMatches(text, search).map((piece) => (piece.isMatch ? `[${piece.text}]` : piece.text)).join("");

test.each([
  ["loss nan, nan", "nan", "loss [nan], [nan]"],
  ["Error", "(?i)error", "[Error]"],
  ["abc", "x*", "abc"],
  ["abc", "(", "abc"],
  ["", "a", ""],
  ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"],
])("in %j the search %j gives %j", (text, search, expected) => expect(marked(text, search)).toBe(expected));
