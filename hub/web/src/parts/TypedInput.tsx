/** A text input that keeps what is being typed while the page around it is drawn anew. */
import { useSignal } from "@preact/signals";
import type { TargetedEvent } from "preact";
import { useEffect } from "preact/hooks";

interface TypedInputProps {
  type: "text" | "search";
  class?: string;
  placeholder: string;
  "aria-label"?: string;
  value: string;
  /** Called with Enter, or when the input is left. */
  onTyped(text: string): void;
}

export function TypedInput({ type, value, onTyped, ...rest }: TypedInputProps) {
  const draft = useSignal(value);
  useEffect(() => {
    draft.value = value;
  }, [value]);
  const given = {
    ...rest,
    spellcheck: false,
    autocomplete: "off",
    autocapitalize: "off" as const,
    value: draft.value,
    onInput: (event: TargetedEvent<HTMLInputElement>) => {
      draft.value = event.currentTarget.value;
    },
    onChange: (event: TargetedEvent<HTMLInputElement>) => onTyped(event.currentTarget.value),
  };
  return type === "search" ? <input type="search" {...given} /> : <input type="text" {...given} />;
}
