/** A text input that keeps what is being typed while the page around it is drawn anew. */
import { useSignal } from "@preact/signals";
import type { TargetedEvent } from "preact";
import { useEffect, useRef } from "preact/hooks";

const SEARCH_MS = 300;

interface TypedInputProps {
  type: "text" | "search";
  class?: string;
  placeholder: string;
  "aria-label"?: string;
  value: string;
  /** Called with the text without spaces at its ends: with Enter, or when the input is left. A search also calls it while one types. */
  onTyped(text: string): void;
}

export function TypedInput({ type, value, onTyped, ...rest }: TypedInputProps) {
  const draft = useSignal(value);
  const sent = useRef(value);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const latest = useRef(onTyped);
  latest.current = onTyped;
  useEffect(() => {
    // Another value than the last one typed: a reset, or Back.
    if (value !== sent.current) draft.value = sent.current = value;
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const send = () => {
    clearTimeout(timer.current);
    const text = draft.peek().trim();
    if (text === sent.current) return;
    sent.current = text;
    latest.current(text);
  };
  const given = {
    ...rest,
    spellcheck: false,
    autocomplete: "off",
    autocapitalize: "off" as const,
    value: draft.value,
    onInput: (event: TargetedEvent<HTMLInputElement>) => {
      draft.value = event.currentTarget.value;
      clearTimeout(timer.current);
      if (type === "search") timer.current = setTimeout(send, SEARCH_MS);
    },
    onChange: send,
  };
  return type === "search" ? <input type="search" {...given} /> : <input type="text" {...given} />;
}
