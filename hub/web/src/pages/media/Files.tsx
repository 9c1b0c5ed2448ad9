/** A value that is a file or a list of files: pictures as a grid, others by what they are. */
import { useSignal } from "@preact/signals";

import type { MediaItem } from "../../api/types.js";
import { formatBytes } from "../../parts/format.js";
import { Figure } from "./Figure.js";
import { downloadUrl, itemFacts, itemKind, itemName, stateText } from "./items.js";
import { BoxedPicture } from "./Picture.js";
import type { ValueProps } from "./valueProps.js";

/** Items that are in the document before more are asked for. */
const SHOWN_FIRST = 60;
const SMALL_MAX = 4;

export function Files({ value, isSmall, onOpen }: ValueProps) {
  const { items } = value;
  const most = useSignal(SHOWN_FIRST);
  const shown = items.slice(0, isSmall ? SMALL_MAX : most.value);
  const rest = items.length - shown.length;
  const columns = isSmall && items.length > 1 ? "two" : "";
  return (
    <div class={`media-items ${isSmall ? "small" : ""} ${columns}`} data-items={items.length}>
      {shown.map((item, at) => (
        <Item
          key={item.id ?? at}
          item={item}
          name={itemName(item, at, items.length)}
          isSmall={isSmall}
          onOpen={() => onOpen(value, at)}
        />
      ))}
      {items.length === 0 && <p class="fact">An empty list</p>}
      {rest > 0 && isSmall && (
        <button type="button" class="small quiet media-rest" onClick={() => onOpen(value, SMALL_MAX)}>
          {`${rest} more`}
        </button>
      )}
      {rest > 0 && !isSmall && (
        <button type="button" class="media-rest" onClick={() => (most.value += SHOWN_FIRST)}>
          {`Show ${Math.min(rest, SHOWN_FIRST)} of ${rest} more`}
        </button>
      )}
    </div>
  );
}

interface ItemProps {
  item: MediaItem;
  name: string;
  isSmall: boolean;
  onOpen(): void;
}

function Item({ item, name, isSmall, onOpen }: ItemProps) {
  return (
    <figure class="media-item" data-state={item.state}>
      {item.state === "ready" ? (
        <Ready item={item} name={name} isSmall={isSmall} onOpen={onOpen} />
      ) : (
        <p class={`media-state ${item.state}`} title={stateText(item)}>{stateText(item)}</p>
      )}
      {!isSmall && item.caption !== "" && <figcaption title={item.caption}>{item.caption}</figcaption>}
    </figure>
  );
}

function Ready({ item, name, isSmall, onOpen }: ItemProps) {
  switch (itemKind(item)) {
    case "image":
      return (
        <button type="button" class="media-open" aria-label={`Open ${name}`} title={itemFacts(item)} onClick={onOpen}>
          <BoxedPicture item={item} name={name} words="label" />
        </button>
      );
    case "html":
      return (
        <button type="button" class="media-open page" aria-label={`Open ${name}`} title={itemFacts(item)} onClick={onOpen}>
          <span>HTML page</span>
          <span class="fact">{formatBytes(item.size)}</span>
        </button>
      );
    case "figure":
      return (
        <>
          {!isSmall && <Figure key={item.url} item={item} name={name} />}
          <button type="button" class={isSmall ? "media-open page" : "small quiet"} aria-label={`Open ${name}`} title={itemFacts(item)} onClick={onOpen}>
            {isSmall ? "Plotly figure" : "Enlarge"}
          </button>
        </>
      );
    case "audio":
      return <audio controls preload="none" src={item.url} aria-label={name} />;
    case "video":
      return <video controls preload="metadata" playsInline src={item.url} aria-label={name} />;
    case "file":
      return (
        <a class="media-open page" href={downloadUrl(item.url)} download>
          <span>Download</span>
          <span class="fact">{itemFacts(item)}</span>
        </a>
      );
  }
}
