/**
 * Asks before a page with unsaved work is left: by a link, by Back, by closing the tab.
 *
 * At most one component holds the question at a time.
 */
let question: (() => string | null) | null = null;

/** `ask` gives what to ask, or null while nothing is unsaved. Returns the end of it. */
export function askBeforeLeaving(ask: () => string | null): () => void {
  question = ask;
  const warn = (event: BeforeUnloadEvent) => {
    if (ask() !== null) event.preventDefault();
  };
  addEventListener("beforeunload", warn);
  return () => {
    removeEventListener("beforeunload", warn);
    if (question === ask) question = null;
  };
}

/** Whether the page may be left now; asks the person where it must. */
export function mayLeave(): boolean {
  const asked = question?.() ?? null;
  return asked === null || confirm(asked);
}
