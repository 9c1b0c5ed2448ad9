/** Lines of a console with terminal codes. */
import { expect, test } from "vitest";

import { parseAnsi, plainText } from "../../src/state/ansi.js";

const spans = (line: string) => parseAnsi(line).map(({ text, classes }) => [text, classes]);

test("a line without codes is one span", () => {
  expect(spans("loss 0.3")).toEqual([["loss 0.3", ""]]);
  expect(spans("")).toEqual([]);
});

test("colours and weights become classes until they end", () => {
  expect(spans("a\u001b[1;31mb\u001b[22mc\u001b[0md\u001b[me")).toEqual([
    ["a", ""], ["b", "ansi-red ansi-bold"], ["c", "ansi-red"], ["d", ""], ["e", ""],
  ]);
});

test.each([
  ["38;5;196", "ansi-red"],
  ["38;5;12", "ansi-blue"],
  ["38;5;45", "ansi-cyan"],
  ["38;5;240", "ansi-black"],
  ["38;2;250;240;10", "ansi-yellow"],
  ["97", "ansi-white"],
  ["38;5;46;1", "ansi-green ansi-bold"],
  ["48;2;0;0;0;31", "ansi-red ansi-background"],
])("the codes %s are %s", (codes, classes) => {
  expect(spans(`\u001b[${codes}mx`)).toEqual([["x", classes]]);
});

test("a progress bar shows its last state", () => {
  expect(plainText("10%|#\r20%|##\r")).toBe("20%|##");
});

test.each(["\u001b[2Kx", "\u001b]8;;http://a.b\u0007x", "\u001b[?25lx", "\u0000x\u0008", "\u001bMx", "x\u001b["])(
  "other codes of %j leave nothing",
  (line) => expect(plainText(line).replace("[", "")).toBe("x"),
);

test("marks of a page stay text", () => {
  expect(spans("<img src=x onerror=alert(1)>")).toEqual([["<img src=x onerror=alert(1)>", ""]]);
});
