/** A figure of Plotly, drawn in a frame without access to the page, the hub and the network. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { API } from "../../api/client.js";
import type { MediaItem } from "../../api/types.js";

interface FigureProps {
  item: Pick<MediaItem, "url" | "library_url">;
  name: string;
}

/** What the frame says; it may be anything, as a script of the run draws there. */
interface Told {
  readonly state?: unknown;
  readonly text?: unknown;
}

const TEXT_MAX = 300;

export function Figure({ item, name }: FigureProps) {
  const frame = useRef<HTMLIFrameElement>(null);
  const error = useSignal("");
  const isDrawn = useSignal(false);
  useEffect(() => {
    const abort = new AbortController();
    const read = contentOf(item, abort.signal);
    read.catch(() => undefined);
    const hear = ({ source, data }: MessageEvent<Told>) => {
      const target = frame.current?.contentWindow;
      if (!target || source !== target) return;
      if (data?.state === "ready") {
        read.then(
          // Its origin is of its own: no other address can be named.
          (content) => target.postMessage(content, "*"),
          (failure: unknown) => abort.signal.aborted || (error.value = String(failure)),
        );
      } else if (data?.state === "drawn") isDrawn.value = true;
      else if (data?.state === "failed") error.value = String(data.text).slice(0, TEXT_MAX);
    };
    addEventListener("message", hear);
    return () => (abort.abort(), removeEventListener("message", hear));
  }, [item.url, item.library_url]);
  if (item.library_url === "") {
    return <p class="media-state failed">The run did not keep plotly.js, so the figure cannot be drawn. Its data can be downloaded</p>;
  }
  return (
    <div class="figure-frame" data-drawn={isDrawn.value}>
      {error.value !== "" && <p class="media-state failed">{`The figure was not drawn: ${error.value}`}</p>}
      <iframe ref={frame} sandbox="allow-scripts" src={`${API}/figures/frame`} title={name} />
    </div>
  );
}

async function contentOf({ url, library_url }: FigureProps["item"], signal: AbortSignal) {
  const [library, figure] = await Promise.all([
    fetch(library_url, { signal }).then(checked).then((answer) => answer.text()),
    fetch(url, { signal }).then(checked).then((answer) => answer.json() as Promise<unknown>),
  ]);
  return { library, figure };
}

function checked(answer: Response): Response {
  if (!answer.ok) throw new Error(`the hub answered ${answer.status}`);
  return answer;
}
