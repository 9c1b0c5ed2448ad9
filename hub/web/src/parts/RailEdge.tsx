/** The rail's right edge: dragged, or moved with the arrow keys, it changes the rail's width. */
import { RAIL_WIDTH_MAX, RAIL_WIDTH_MIN, railWidth, setRailWidth } from "../state/rail.js";

const KEY_STEP = 16;

export function RailEdge() {
  const drag = (event: PointerEvent) => {
    const edge = event.currentTarget as HTMLElement;
    const offset = railWidth.peek() - event.clientX;
    edge.setPointerCapture(event.pointerId);
    const move = (moved: PointerEvent) => setRailWidth(moved.clientX + offset);
    edge.addEventListener("pointermove", move);
    edge.addEventListener("lostpointercapture", () => edge.removeEventListener("pointermove", move), { once: true });
    event.preventDefault();
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
