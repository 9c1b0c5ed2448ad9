/** A modal dialog on the native element: focus stays inside, Escape closes. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

import { Icon } from "./Icon.js";

interface DialogProps {
  title: string;
  onClose(): void;
  children: ComponentChildren;
  className?: string;
}

export function Dialog({ title, onClose, children, className = "" }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      class={className}
      aria-labelledby={id}
      onClose={onClose}
      onClick={(event) => {
        // A click beside the dialog's content hits the dialog itself: its backdrop.
        if (event.target === dialog.current) onClose();
      }}
    >
      <div class="dialog-content">
        <header class="dialog-header">
          <h2 id={id}>{title}</h2>
          <button type="button" class="quiet small" aria-label="Close" onClick={onClose}>
            <Icon name="close" />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
