/** In place of media where there are none: how a script logs some. */
import { CopyButton } from "../../parts/CopyButton.js";
import { Notice } from "../../parts/Notice.js";

const SNIPPET = 'run.log({"examples": [stepwell.Image(array, caption="cat")]})';

export function NoMedia({ title }: { title: string }) {
  return (
    <Notice title={title}>
      <p>Log a picture, or a list of pictures, like a number:</p>
      <div class="snippet">
        <pre tabIndex={0}>{SNIPPET}</pre>
        <CopyButton text={SNIPPET} what="the Python line" />
      </div>
      <p class="fact">Arrays, tensors, figures and files are accepted. They appear here without a reload.</p>
    </Notice>
  );
}
