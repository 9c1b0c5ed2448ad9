/** Queue of frames: draws the charts that changed, a bounded time in each animation frame. */

export interface Drawable {
  draw(): void;
}

/** Drawing per frame; the rest of the frame is the browser's. */
const FRAME_MS = 10;

const heavy = new Set<Drawable>();
const light = new Set<Drawable>();
let isScheduled = false;

/** Draw with the next frames; `isHeavy` for more than an overlay. */
export function requestDraw(drawable: Drawable, isHeavy: boolean): void {
  if (isHeavy) {
    light.delete(drawable);
    heavy.add(drawable);
  } else if (!heavy.has(drawable)) light.add(drawable);
  schedule();
}

export function withdrawDraw(drawable: Drawable): void {
  heavy.delete(drawable);
  light.delete(drawable);
}

function schedule(): void {
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame(run);
}

function run(): void {
  isScheduled = false;
  const started = performance.now();
  for (const drawable of light) drawable.draw();
  light.clear();
  for (const drawable of heavy) {
    heavy.delete(drawable);
    drawable.draw();
    if (performance.now() - started > FRAME_MS) break;
  }
  if (heavy.size > 0) schedule();
}
