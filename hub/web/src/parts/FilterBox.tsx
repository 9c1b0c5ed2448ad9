/**
 * The box for the filter language. The hub checks the text: the token that it refuses is
 * underlined, and its message stands below while the rows of the last good filter stay.
 */
import { useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";

import type { ApiError } from "../api/errors.js";
import { splitAtError } from "./filterError.js";

const DELAY_MS = 150;

interface FilterBoxProps {
  value: string;
  error: ApiError | null;
  onChange(filter: string): void;
  label?: string;
}

export function FilterBox({ value, error, onChange, label = "Filter runs" }: FilterBoxProps) {
  const typed = useSignal(value);
  const sent = useRef(value);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const mirror = useRef<HTMLDivElement>(null);
  const id = useId();

  useEffect(() => {
    // The address changed by another way than typing: Back, or a link that clears the filter.
    if (value !== sent.current) typed.value = sent.current = value;
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);

  const send = () => {
    clearTimeout(timer.current);
    if (typed.value === sent.current) return;
    sent.current = typed.value;
    onChange(typed.value);
  };
  const type = (text: string) => {
    typed.value = text;
    clearTimeout(timer.current);
    timer.current = setTimeout(send, DELAY_MS);
  };
  const shownError = error && typed.value === sent.current ? error : null;
  const parts = shownError && splitAtError(typed.value, shownError.details);
  return (
    <div class="filter-box">
      <div class="filter-field">
        <input
          type="search"
          class="mono"
          data-key="r"
          aria-label={label}
          aria-invalid={shownError !== null}
          aria-describedby={shownError ? `${id}-error` : undefined}
          placeholder="Filter: lr<1e-3 state:running"
          spellcheck={false}
          autocomplete="off"
          autocapitalize="off"
          value={typed.value}
          onInput={(event) => type(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter") send();
            if (event.key === "Escape") event.currentTarget.blur();
          }}
          onScroll={(event) => {
            if (mirror.current) mirror.current.scrollLeft = event.currentTarget.scrollLeft;
          }}
        />
        {parts && (
          <div ref={mirror} class="filter-mirror mono" aria-hidden="true">
            {parts.before}
            <u>{parts.wrong}</u>
            {parts.after}
          </div>
        )}
      </div>
      {shownError && (
        <p id={`${id}-error`} class="filter-error" role="status">
          {shownError.message}
        </p>
      )}
    </div>
  );
}
