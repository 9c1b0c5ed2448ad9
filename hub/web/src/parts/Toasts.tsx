/** The messages of state/toasts.ts. */
import { close, toasts } from "../state/toasts.js";
import { Icon } from "./Icon.js";

export function Toasts() {
  return (
    <div class="toasts" role="status">
      {toasts.value.map(({ id, text, kind }) => (
        <p key={id} class={`toast ${kind}`}>
          <span>{text}</span>
          <button type="button" class="quiet small" aria-label="Close this message" onClick={() => close(id)}>
            <Icon name="close" />
          </button>
        </p>
      ))}
    </div>
  );
}
