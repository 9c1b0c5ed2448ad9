/** Calls that come often, made less often. */

export interface Throttled {
  call(): void;
  cancel(): void;
}

/** Calls at once, then at most every so many milliseconds, never losing the last call. */
export function throttled(milliseconds: number, call: () => void): Throttled {
  let timer: ReturnType<typeof setTimeout> | null = null;
  let isDue = false;
  const run = () => {
    timer = null;
    if (!isDue) return;
    isDue = false;
    timer = setTimeout(run, milliseconds);
    call();
  };
  return {
    call() {
      isDue = true;
      timer ??= setTimeout(run, 0);
    },
    cancel() {
      if (timer !== null) clearTimeout(timer);
      isDue = false;
    },
  };
}
