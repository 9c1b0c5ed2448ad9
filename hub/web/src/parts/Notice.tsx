/** A notice in place of content: why it is empty or broken, and what to do. */
import type { ComponentChildren } from "preact";

import { ApiError } from "../api/errors.js";

interface NoticeProps {
  title: string;
  kind?: "plain" | "bad";
  children?: ComponentChildren;
}

export function Notice({ title, kind = "plain", children }: NoticeProps) {
  return (
    <div class={`notice ${kind}`} role={kind === "bad" ? "alert" : undefined}>
      <p class="notice-title">{title}</p>
      {children}
    </div>
  );
}

interface FailureProps {
  /** What could not be done, as a sentence without its full stop. */
  what: string;
  error: Error;
  onRetry?: () => void;
}

export function Failure({ what, error, onRetry }: FailureProps) {
  return (
    <Notice title={what} kind="bad">
      <p>{error.message}</p>
      {error instanceof ApiError && <p class="fact">{`${error.status} ${error.code}`}</p>}
      {onRetry && (
        <button type="button" onClick={onRetry}>
          Try again
        </button>
      )}
    </Notice>
  );
}
