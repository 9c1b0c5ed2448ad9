/** The time now in seconds, for ages on the page. It moves every ten seconds while it is looked at. */
import { signal } from "@preact/signals";

const STEP_SECONDS = 10;

let timer: ReturnType<typeof setInterval> | undefined;

export const now = signal(Date.now() / 1000, {
  watched() {
    this.value = Date.now() / 1000;
    timer = setInterval(() => (this.value = Date.now() / 1000), STEP_SECONDS * 1000);
  },
  unwatched() {
    clearInterval(timer);
  },
});
