/**
 * A button with a panel that opens below it. The panel is a native popover: it lies above all,
 * Escape and a click beside it close it, and the focus comes back to the button.
 */
import type { ComponentChildren, JSX } from "preact";
import { useSignal } from "@preact/signals";
import { useId, useRef } from "preact/hooks";

interface PopoverProps {
  label: ComponentChildren;
  /** The button's name where its label is no text. */
  name?: string;
  title: string;
  buttonClass?: string;
  children: () => ComponentChildren;
}

const GAP = 4;

export function Popover({ label, name, title, buttonClass = "", children }: PopoverProps): JSX.Element {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  const isOpen = useSignal(false);

  const place = () => {
    const [at, box] = [button.current, panel.current];
    if (!at || !box) return;
    const anchor = at.getBoundingClientRect();
    const left = Math.min(anchor.left, innerWidth - box.offsetWidth - GAP);
    const fitsBelow = anchor.bottom + GAP + box.offsetHeight <= innerHeight;
    const top = fitsBelow ? anchor.bottom + GAP : Math.max(GAP, anchor.top - GAP - box.offsetHeight);
    box.style.left = `${Math.max(GAP, left)}px`;
    box.style.top = `${top}px`;
  };
  return (
    <>
      <button
        ref={button}
        type="button"
        class={buttonClass}
        popovertarget={id}
        aria-expanded={isOpen.value}
        aria-label={name}
      >
        {label}
      </button>
      <div
        ref={panel}
        id={id}
        popover="auto"
        role="dialog"
        aria-label={title}
        class="popover"
        onToggle={(event) => {
          isOpen.value = event.newState === "open";
          if (isOpen.value) requestAnimationFrame(place);
        }}
      >
        {isOpen.value && children()}
      </div>
    </>
  );
}
