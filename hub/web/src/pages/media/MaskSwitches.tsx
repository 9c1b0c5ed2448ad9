/** A switch for each mask, and the colours of the classes, of one picture or of two. */
import type { Signal } from "@preact/signals";

import type { MediaMask } from "../../api/types.js";
import { classColor } from "../../state/palette.js";
import { stateText } from "./items.js";
import { hiddenName, legendOf, type MaskClass } from "./masks.js";

/** The classes that are drawn, by mask; null for one that did not load. */
export type MaskClasses = ReadonlyMap<string, readonly MaskClass[] | null>;

interface MaskSwitchesProps {
  masks: readonly MediaMask[];
  /** Of each picture. */
  pictures: readonly MaskClasses[];
  hidden: Signal<ReadonlySet<string>>;
}

export function MaskSwitches({ masks, pictures, hidden }: MaskSwitchesProps) {
  if (masks.length === 0) return null;
  const names = [...new Set(masks.map(({ name }) => name))];
  const flip = (name: string) => {
    const now = new Set(hidden.peek());
    if (!now.delete(hiddenName(name))) now.add(hiddenName(name));
    hidden.value = now;
  };
  const classes = legendOf(pictures, names.filter((name) => !hidden.value.has(hiddenName(name))));
  const failed = masks.filter(({ name, state }) => state !== "ready" || pictures.some((each) => each.get(name) === null));
  return (
    <>
      <div class="lightbox-zoom" role="group" aria-label="Masks">
        <span class="fact">Masks</span>
        {names.map((name) => (
          <button
            key={name}
            type="button"
            aria-pressed={!hidden.value.has(hiddenName(name))}
            title={`Show or hide ${name}`}
            onClick={() => flip(name)}
          >
            {name || "no name"}
          </button>
        ))}
        {failed.map((mask) => (
          <span key={mask.name} class="fact">{`${mask.name}: ${stateText(mask) || "the mask did not load"}`}</span>
        ))}
      </div>
      {classes.length > 0 && (
        <ul class="mask-classes" aria-label="Classes of the masks">
          {classes.map(({ id, label, shares }) => (
            <li key={id} title={shares.join("\n")}>
              <span class="swatch" style={{ background: classColor(id) }} />
              {label}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
