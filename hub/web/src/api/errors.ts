/** Errors between page and hub. */

/** The hub answered and refused. `code` is stable; `message` is a sentence for people. */
export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly details: { field?: string; position?: number; length?: number } = {},
  ) {
    super(message);
  }
}

/** No answer, or one that no hub gives. */
export class HubUnreachableError extends Error {
  override readonly name = "HubUnreachableError";

  constructor(reason: string) {
    super(`The hub does not answer (${reason}). Is it running? Try: stepwell status`);
  }
}

export function isAborted(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
