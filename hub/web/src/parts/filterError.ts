/** Where in a filter the hub found its error. Pure. */

export interface ErrorParts {
  before: string;
  wrong: string;
  after: string;
}

/**
 * Cut `text` at the error. Position and length count characters as Python does, code points, while
 * JavaScript counts UTF-16 units. An error at the end marks one space behind the text.
 */
export function splitAtError(text: string, error: { position?: number; length?: number }): ErrorParts {
  const points = Array.from(text);
  const position = Math.min(Math.max(error.position ?? 0, 0), points.length);
  const length = error.position === undefined ? points.length : Math.max(error.length ?? 1, 1);
  const wrong = points.slice(position, position + length).join("");
  return {
    before: points.slice(0, position).join(""),
    wrong: wrong === "" ? "\u00a0" : wrong,
    after: points.slice(position + length).join(""),
  };
}
