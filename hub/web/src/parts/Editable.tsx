/**
 * A text that is edited in place: a click on its pencil opens a field, Enter saves, Escape does not.
 *
 * Where someone else changed the text meanwhile, the field opens again with the typed text. Then
 * only Enter (Ctrl+Enter in a long text) saves: leaving the field does not replace the other text.
 */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

import { Icon } from "./Icon.js";

interface EditableProps {
  /** What is edited, for the names of button and field: "the name of run-3". */
  what: string;
  value: string;
  /** Shown while nothing is edited. */
  children: ComponentChildren;
  isLong?: boolean;
  /**
   * `before` is the text when the field was opened; it may have changed since. Returns the text as
   * it is now if that was not replaced because someone else changed it.
   */
  onSave(value: string, before: string): void | Promise<string | null>;
}

export function Editable({ what, value, children, isLong = false, onSave }: EditableProps) {
  const draft = useSignal<string | null>(null);
  const opened = useRef({ value, isRefused: false });
  const pencil = useRef<HTMLButtonElement>(null);
  const hasFocus = useRef(false);
  useEffect(() => {
    // After Enter and Escape the focus is where it was before.
    if (draft.value !== null || !hasFocus.current) return;
    hasFocus.current = false;
    pencil.current?.focus();
  }, [draft.value]);
  if (draft.value === null) {
    return (
      <span class="editable">
        <span class="editable-value">{children}</span>
        <button
          ref={pencil}
          type="button"
          class="quiet small pencil"
          aria-label={`Edit ${what}`}
          onClick={() => {
            opened.current = { value, isRefused: false };
            draft.value = value;
          }}
        >
          <Icon name="pencil" />
        </button>
      </span>
    );
  }
  const save = async (text: string, before: string) => {
    const now = await onSave(text, before);
    if (typeof now !== "string" || draft.peek() !== null) return;
    opened.current = { value: now, isRefused: true };
    draft.value = text;
  };
  const close = (isSaved: boolean) => {
    const text = draft.value;
    draft.value = null;
    const before = opened.current.value;
    if (isSaved && text !== null && text !== before) void save(text, before);
  };
  const field = {
    "aria-label": `Edit ${what}`,
    value: draft.value,
    ref: (element: HTMLElement | null) => {
      if (element && document.activeElement !== element) element.focus();
    },
    onInput: (event: { currentTarget: { value: string } }) => {
      draft.value = event.currentTarget.value;
    },
    onBlur: () => !opened.current.isRefused && close(true),
    onKeyDown: (event: KeyboardEvent) => {
      const isEnd = event.key === "Enter" && (!isLong || event.ctrlKey || event.metaKey);
      if (!isEnd && event.key !== "Escape") return;
      hasFocus.current = true;
      close(isEnd);
    },
  };
  if (isLong) return <textarea class="editing" rows={5} {...field} />;
  return <input class="editing" type="text" {...field} />;
}
