/** Places in a text. Pure. */

/** `text` with `block` as a paragraph of its own after the line of `at`; the cursor is behind it. */
export function insertedAt(text: string, at: number, block: string): { text: string; cursor: number } {
  const end = text.indexOf("\n", at);
  const head = (end < 0 ? text : text.slice(0, end)).trimEnd();
  const tail = (end < 0 ? "" : text.slice(end)).replace(/^\n+/, "");
  const before = head === "" ? "" : `${head}\n\n`;
  const whole = before + block;
  return { text: tail === "" ? whole : `${whole}\n${tail}`, cursor: whole.length };
}

/** Where a line, counted from 1, begins and ends. */
export function lineStart(text: string, line: number): [number, number] {
  let from = 0;
  for (let at = 1; at < line; at++) {
    const next = text.indexOf("\n", from);
    if (next < 0) break;
    from = next + 1;
  }
  const end = text.indexOf("\n", from);
  return [from, end < 0 ? text.length : end];
}
