/** A text that is edited in place: a click on its pencil opens a field, Enter saves, Escape does not. */
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
  onSave(value: string): void;
}

export function Editable({ what, value, children, isLong = false, onSave }: EditableProps) {
  const draft = useSignal<string | null>(null);
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
          onClick={() => (draft.value = value)}
        >
          <Icon name="pencil" />
        </button>
      </span>
    );
  }
  const close = (isSaved: boolean) => {
    const text = draft.value;
    draft.value = null;
    if (isSaved && text !== null && text !== value) onSave(text);
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
    onBlur: () => close(true),
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
