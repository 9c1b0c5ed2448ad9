/** The picture of an item, and the boxes over it. */
import { useSignal, type Signal } from "@preact/signals";

import type { MediaItem } from "../../api/types.js";
import { classColor, inkOn } from "../../state/palette.js";
import { MaskLayer } from "./MaskLayer.js";
import { hiddenName, type MaskClass } from "./masks.js";
import { boxGroups, firstBoxes, hasBoxes, SHOWN_MAX, SHOWN_SMALL_MAX, type Box, type Size } from "./boxes.js";
import { isTiny } from "./items.js";

/** A medium of a run, or of a cell of a table. */
type Pictured = Pick<MediaItem, "url" | "width" | "height" | "about" | "masks">;

/** Of each box: its class or caption and its scores; its class or caption, small; or nothing. */
export type BoxWords = "all" | "label" | "none";

interface PictureProps {
  item: Pictured;
  name: string;
  /** Called with the size in pixels as the browser shows it. */
  onSize?(size: Size): void;
}

export function Picture({ item, name, onSize }: PictureProps) {
  const isGone = useSignal(false);
  if (isGone.value) return <span class="media-state failed">The picture did not load</span>;
  return (
    <img
      class={isTiny(item) ? "pixelated" : ""}
      src={item.url}
      alt={name}
      loading="lazy"
      decoding="async"
      width={item.width || undefined}
      height={item.height || undefined}
      onLoad={({ currentTarget: { naturalWidth: width, naturalHeight: height } }) => onSize?.({ width, height })}
      onError={() => (isGone.value = true)}
    />
  );
}

interface BoxedPictureProps {
  item: Pictured;
  name: string;
  words: BoxWords;
  /** Names of the groups, and the `hiddenName` of masks, that are not drawn. */
  hidden?: Signal<ReadonlySet<string>>;
  onSize?(size: Size): void;
  /** Called with the classes of a mask that was drawn; null if it did not load. */
  onClasses?(mask: string, classes: readonly MaskClass[] | null): void;
}

/** The picture with its masks and boxes, which scale with it; without these, the picture alone. */
export function BoxedPicture({ item, name, words, hidden, onSize, onClasses }: BoxedPictureProps) {
  const size = useSignal<Size | null>(null);
  const isSmall = words !== "all";
  const masks = item.masks.filter(({ state }) => state === "ready");
  if (!hasBoxes(item.about) && masks.length === 0) return <Picture item={item} name={name} />;
  const read = (found: Size) => {
    size.value = found;
    onSize?.(found);
  };
  const groups = size.value === null ? [] : boxGroups(item.about, size.value);
  const shown = firstBoxes(groups, isSmall ? SHOWN_SMALL_MAX : SHOWN_MAX);
  return (
    <span class="boxed">
      <Picture item={item} name={name} onSize={read} />
      {size.value !== null && (
        <span class="boxes-area">
          {masks.length > 0 && (
            <span class="boxes" aria-hidden style={{ "--ratio": String(size.value.width / size.value.height) }}>
              {masks.map((mask) =>
                hidden?.value.has(hiddenName(mask.name)) ? null : (
                  <MaskLayer
                    key={mask.url}
                    mask={mask}
                    masks={item.masks}
                    about={item.about}
                    isSmall={isSmall}
                    onClasses={onClasses}
                  />
                ),
              )}
            </span>
          )}
          <span
            class={`boxes ${isSmall ? "small" : ""}`}
            aria-hidden={isSmall}
            role={isSmall ? undefined : "list"}
            aria-label={isSmall ? undefined : "Boxes"}
            style={{ "--ratio": String(size.value.width / size.value.height) }}
          >
            {shown.map(({ name: group, boxes }, at) =>
              hidden?.value.has(group)
                ? null
                : boxes.map((box, place) => (
                    <BoxView key={`${group} ${place}`} box={box} group={group} at={at} shown={words} />
                  )),
            )}
          </span>
        </span>
      )}
    </span>
  );
}

const LINES = ["solid", "dashed", "dotted"] as const;

function BoxView({ box, group, at, shown }: { box: Box; group: string; at: number; shown: BoxWords }) {
  const color = classColor(box.slot);
  const isSmall = shown !== "all";
  const words = isSmall ? (shown === "label" ? box.label : "") : [box.label, box.scores].filter(Boolean).join(" · ");
  const paint = { background: color, color: inkOn(color) };
  const percent = (fraction: number) => `${fraction * 100}%`;
  return (
    <span
      class={`box ${box.top < 0.1 ? "high" : ""} ${box.left > 0.6 ? "right" : ""}`}
      role={isSmall ? undefined : "listitem"}
      data-group={group}
      title={isSmall ? undefined : [group, words].filter(Boolean).join(": ")}
      style={{
        left: percent(box.left),
        top: percent(box.top),
        width: percent(box.width),
        height: percent(box.height),
        color,
        borderStyle: LINES[at % LINES.length],
      }}
    >
      {/* In the grid it is in a button that has a name: drawn there by CSS, it is no text of the button. */}
      {words !== "" && isSmall && <span class="box-label" data-label={words} style={paint} />}
      {words !== "" && !isSmall && (
        <span class="box-label" style={paint}>
          {box.label !== "" && <span class="box-words">{box.label}</span>}
          {box.scores !== "" && <span>{box.label === "" ? box.scores : ` · ${box.scores}`}</span>}
        </span>
      )}
    </span>
  );
}
