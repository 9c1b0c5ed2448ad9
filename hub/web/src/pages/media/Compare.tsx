/** Two pictures, A and B: side by side, or one over the other with an edge that moves. */
import { useSignal, type Signal } from "@preact/signals";

import type { MediaItem } from "../../api/types.js";
import { boxGroups, type Size } from "./boxes.js";
import { BoxSwitches } from "./BoxSwitches.js";
import { MaskSwitches, type MaskClasses } from "./MaskSwitches.js";
import { isTiny } from "./items.js";
import { BoxedPicture } from "./Picture.js";

export interface Side {
  readonly item: MediaItem;
  readonly name: string;
  /** Whose it is and when: "base, step 3". */
  readonly where: string;
}

interface CompareProps {
  a: Side;
  b: Side;
  /** Groups of boxes and masks that are not drawn. */
  hidden: Signal<ReadonlySet<string>>;
}

export function Compare({ a, b, hidden }: CompareProps) {
  /** Sizes of the pictures in pixels, by their address. */
  const sizes = useSignal<ReadonlyMap<string, Size>>(new Map());
  /** Classes of the masks that are drawn, by the address of the picture. */
  const classes = useSignal<ReadonlyMap<string, MaskClasses>>(new Map());
  const isOver = useSignal(false);
  const edge = useSignal(50);
  const sharp = (side: Side) => (isTiny(side.item) ? "sharp" : "");
  const groups = [a, b].map(({ item }) => {
    const size = sizes.value.get(item.url);
    return size === undefined ? [] : boxGroups(item.about, size);
  });
  return (
    <>
      <div class="lightbox-zoom" role="group" aria-label="Way to compare">
        <button type="button" aria-pressed={!isOver.value} onClick={() => (isOver.value = false)}>Side by side</button>
        <button type="button" aria-pressed={isOver.value} onClick={() => (isOver.value = true)}>One over the other</button>
        {isOver.value && (
          <input
            type="range"
            min={0}
            max={100}
            value={edge.value}
            aria-label="Edge between A and B"
            onInput={(event) => (edge.value = event.currentTarget.valueAsNumber)}
          />
        )}
      </div>
      <div class={`compare ${isOver.value ? "over" : ""}`}>
        {[a, b].map((side, at) => (
          <figure
            key={at}
            class={sharp(side)}
            style={isOver.value && at === 0 ? { "--edge": `${edge.value}%` } : {}}
          >
            <BoxedPicture
              key={side.item.url}
              item={side.item}
              name={`${"AB"[at]}: ${side.name}`}
              words="all"
              hidden={hidden}
              onSize={(size) => (sizes.value = new Map(sizes.peek()).set(side.item.url, size))}
              onClasses={(mask, found) => {
                const known = new Map(classes.peek().get(side.item.url)).set(mask, found);
                classes.value = new Map(classes.peek()).set(side.item.url, known);
              }}
            />
            <figcaption>{`${"AB"[at]}: ${side.where}`}</figcaption>
          </figure>
        ))}
      </div>
      <MaskSwitches
        masks={[...a.item.masks, ...b.item.masks]}
        pictures={[a, b].map(({ item }) => classes.value.get(item.url) ?? new Map())}
        hidden={hidden}
      />
      <BoxSwitches pictures={groups} hidden={hidden} />
    </>
  );
}
