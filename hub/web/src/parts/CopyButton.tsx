/** A button that copies a text and says so. */
import { useSignal } from "@preact/signals";

import { copyText } from "../state/clipboard.js";

export function CopyButton({ text, what, label = "Copy" }: { text: string | (() => string); what: string; label?: string }) {
  const outcome = useSignal<"copied" | "failed" | null>(null);
  const copy = async () => {
    outcome.value = (await copyText(typeof text === "string" ? text : text())) ? "copied" : "failed";
    setTimeout(() => (outcome.value = null), 1500);
  };
  const shown = outcome.value === "copied" ? "Copied" : outcome.value === "failed" ? "Not copied" : label;
  return (
    <button type="button" class="small" aria-label={`${label} ${what}`} aria-live="polite" onClick={copy}>
      {shown}
    </button>
  );
}
