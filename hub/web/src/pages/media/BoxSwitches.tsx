/** A switch for each group of boxes, of one picture or of two that are compared. */
import type { Signal } from "@preact/signals";

import { formatCount } from "../../parts/format.js";
import { groupCounts, SHOWN_MAX, type BoxGroup } from "./boxes.js";

interface BoxSwitchesProps {
  /** The groups of each picture. */
  pictures: readonly (readonly BoxGroup[])[];
  /** Names of the groups that are not drawn. */
  hidden: Signal<ReadonlySet<string>>;
}

export function BoxSwitches({ pictures, hidden }: BoxSwitchesProps) {
  const counts = groupCounts(pictures.flat());
  const most = Math.max(...pictures.map((groups) => groups.reduce((sum, { boxes }) => sum + boxes.length, 0)));
  if (counts.size === 0) return null;
  const flip = (name: string) => {
    const now = new Set(hidden.peek());
    if (!now.delete(name)) now.add(name);
    hidden.value = now;
  };
  return (
    <div class="lightbox-zoom lightbox-boxes" role="group" aria-label="Boxes">
      <span class="fact">Boxes</span>
      {[...counts].map(([name, count]) => (
        <button
          key={name}
          type="button"
          aria-pressed={!hidden.value.has(name)}
          title={`Show or hide ${name}`}
          onClick={() => flip(name)}
        >
          {`${name || "no name"} (${formatCount(count)})`}
        </button>
      ))}
      {most > SHOWN_MAX && (
        <span class="fact">{`The first ${formatCount(SHOWN_MAX)} of ${formatCount(most)} are drawn`}</span>
      )}
    </div>
  );
}
