/**
 * Lines of a console with terminal codes: colours become classes, all other codes go. Pure.
 *
 * 256 and true colours become the nearest of the eight of the theme, so that they can be read on
 * light and dark.
 */

export interface AnsiSpan {
  text: string;
  /** Class names: ansi-red, ansi-bold, … */
  classes: string;
}

const COLORS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"] as const;
// eslint-disable-next-line no-control-regex
const CODE = /\u001b(?:\[([0-9;:?]*)([@-~])|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\^_])/g;
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f]/g;

interface Style {
  color: string | null;
  background: boolean;
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underline: boolean;
}
const PLAIN: Style = { color: null, background: false, bold: false, dim: false, italic: false, underline: false };

/** The spans of one line. A carriage return starts the line anew, as progress bars do. */
export function parseAnsi(line: string): AnsiSpan[] {
  const text = afterReturn(line);
  const spans: AnsiSpan[] = [];
  let style = PLAIN;
  let from = 0;
  const add = (piece: string) => {
    const clean = piece.replace(CONTROL, "");
    if (clean !== "") spans.push({ text: clean, classes: classesOf(style) });
  };
  for (const match of text.matchAll(CODE)) {
    add(text.slice(from, match.index));
    from = match.index + match[0].length;
    if (match[2] === "m") style = applyCodes(style, match[1] ?? "");
  }
  add(text.slice(from));
  return spans;
}

/** The text alone, as it is searched and copied. */
export function plainText(line: string): string {
  return afterReturn(line).replace(CODE, "").replace(CONTROL, "");
}

function afterReturn(line: string): string {
  if (!line.includes("\r")) return line;
  return line.split("\r").findLast((part) => part !== "") ?? "";
}

function applyCodes(before: Style, given: string): Style {
  const codes = given.split(/[;:]/).map(Number);
  let style = { ...before };
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at] ?? 0;
    if (code === 0) style = { ...PLAIN };
    else if (code === 1) style.bold = true;
    else if (code === 2) style.dim = true;
    else if (code === 3) style.italic = true;
    else if (code === 4) style.underline = true;
    else if (code === 22) style.bold = style.dim = false;
    else if (code === 23) style.italic = false;
    else if (code === 24) style.underline = false;
    else if (code === 39) style.color = null;
    else if (code === 49) style.background = false;
    else if (code >= 30 && code <= 37) style.color = COLORS[code - 30] ?? null;
    else if (code >= 90 && code <= 97) style.color = COLORS[code - 90] ?? null;
    else if ((code >= 40 && code <= 47) || (code >= 100 && code <= 107)) style.background = true;
    else if (code === 38 || code === 48) {
      const isPalette = codes[at + 1] === 5;
      const rgb = isPalette ? paletteColor(codes[at + 2] ?? 0) : codes.slice(at + 2, at + 5);
      at += isPalette ? 2 : 4;
      if (code === 48) style.background = true;
      else style.color = nearestColor(rgb[0] ?? 0, rgb[1] ?? 0, rgb[2] ?? 0);
    }
  }
  return style;
}

function paletteColor(index: number): [number, number, number] {
  if (index < 16) {
    const bright = index >= 8 ? 255 : 205;
    return [index & 1 ? bright : 0, index & 2 ? bright : 0, index & 4 ? bright : 0];
  }
  if (index >= 232) {
    const grey = 8 + 10 * (index - 232);
    return [grey, grey, grey];
  }
  const level = (step: number) => (step === 0 ? 0 : 55 + 40 * step);
  const cube = index - 16;
  return [level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)];
}

function nearestColor(red: number, green: number, blue: number): string {
  const most = Math.max(red, green, blue);
  const least = Math.min(red, green, blue);
  if (most - least < 40) return most < 100 ? "black" : "white";
  const half = (most + least) / 2;
  const index = (red > half ? 1 : 0) + (green > half ? 2 : 0) + (blue > half ? 4 : 0);
  return COLORS[index] ?? "white";
}

function classesOf(style: Style): string {
  const names: string[] = [];
  if (style.color !== null) names.push(`ansi-${style.color}`);
  for (const name of ["background", "bold", "dim", "italic", "underline"] as const) {
    if (style[name]) names.push(`ansi-${name}`);
  }
  return names.join(" ");
}
