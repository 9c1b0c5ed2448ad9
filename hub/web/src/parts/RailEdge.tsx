/** The rail's right edge: dragged, or moved with the arrow keys, it changes the rail's width. */
import { RAIL_WIDTH_MAX, RAIL_WIDTH_MIN, railWidth, setRailWidth } from "../state/rail.js";
import { dragX } from "./drag.js";

const KEY_STEP = 16;

export function RailEdge() {
  const drag = (event: PointerEvent) => {
    const before = railWidth.peek();
    dragX(event, (by) => setRailWidth(before + by));
  };
  return (
    <div
      class="rail-edge"
      role="separator"
      tabIndex={0}
      aria-label="Width of the runs"
      aria-orientation="vertical"
      aria-valuemin={RAIL_WIDTH_MIN}
      aria-valuemax={RAIL_WIDTH_MAX}
      aria-valuenow={railWidth.value}
      onPointerDown={drag}
      onKeyDown={(event) => {
        if (event.key === "ArrowLeft") setRailWidth(railWidth.peek() - KEY_STEP);
        if (event.key === "ArrowRight") setRailWidth(railWidth.peek() + KEY_STEP);
      }}
    />
  );
}
