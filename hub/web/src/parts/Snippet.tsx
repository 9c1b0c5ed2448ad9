/** Lines to run elsewhere, with a button that copies them. */
import { CopyButton } from "./CopyButton.js";

export function Snippet({ text, what }: { text: string; what: string }) {
  return (
    <div class="snippet">
      <pre tabIndex={0}>{text}</pre>
      <CopyButton text={text} what={what} />
    </div>
  );
}
