/** Follow a pointer that was pressed on an element until it is let go. */
export function dragX(event: PointerEvent, move: (byPixels: number) => void): void {
  const element = event.currentTarget as HTMLElement;
  const from = event.clientX;
  const follow = (moved: PointerEvent) => move(moved.clientX - from);
  element.setPointerCapture(event.pointerId);
  element.addEventListener("pointermove", follow);
  element.addEventListener(
    "lostpointercapture",
    () => element.removeEventListener("pointermove", follow),
    { once: true },
  );
  event.preventDefault();
}
