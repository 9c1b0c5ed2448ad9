/**
 * Navigation: the address bar as signals, and links that change it without loading the page anew.
 */
import { computed, signal, type ReadonlySignal } from "@preact/signals";

import { mayLeave } from "./leaving.js";
import { readQuery, writeQuery, type View, type ViewValues } from "./query.js";
import { parsePath } from "./routes.js";

const path = signal(location.pathname);
const search = signal(location.search);

export const route = computed(() => parsePath(path.value));

/** Go to `href`, an address of this page. `replace` leaves no entry for the Back button. */
export function navigate(href: string, { replace = false }: { replace?: boolean } = {}): void {
  if (!isHere(href) && !mayLeave()) return;
  if (replace) history.replaceState(null, "", href);
  else history.pushState(null, "", href);
  take();
}

export interface ViewState<V extends View> {
  values: ReadonlySignal<ViewValues<V>>;
  /** Change some values. `push` makes a step that the Back button undoes. */
  change(changes: Partial<ViewValues<V>>, options?: { push?: boolean }): void;
  /** The query string after some changes, for links. */
  queryOf(changes: Partial<ViewValues<V>>): string;
}

/** The query string read through `view`. Signals change only when the decoded values do. */
export function viewState<V extends View>(view: V): ViewState<V> {
  let last = "";
  let kept: ViewValues<V> | null = null;
  const values = computed(() => {
    const now = readQuery(view, search.value);
    const canonical = writeQuery(view, now, "");
    if (kept === null || canonical !== last) [last, kept] = [canonical, now];
    return kept;
  });
  const queryOf = (changes: Partial<ViewValues<V>>) =>
    writeQuery(view, { ...values.peek(), ...changes }, search.peek());
  return {
    values,
    queryOf,
    change(changes, { push = false } = {}) {
      const query = queryOf(changes);
      if (query !== search.peek()) navigate(path.peek() + query, { replace: !push });
    },
  };
}

/** Follow Back, Forward and clicks on links to this page. */
export function followNavigation(): void {
  addEventListener("popstate", () => {
    if (isHere(location.href) || mayLeave()) return take();
    // The browser has gone already: the address comes back as a new entry.
    history.pushState(null, "", path.peek() + search.peek());
  });
  document.addEventListener("click", (event) => {
    const link = (event.target as Element | null)?.closest("a");
    if (!link || !isPlainClick(event) || link.target !== "" || link.hasAttribute("download")) return;
    if (link.origin !== location.origin || link.pathname.startsWith("/api/")) return;
    // A place on this page: the browser goes there.
    if (link.hash !== "" && link.pathname === location.pathname && link.search === location.search) return;
    event.preventDefault();
    navigate(link.pathname + link.search);
    scrollTo(0, 0);
  });
}

function isPlainClick(event: MouseEvent): boolean {
  const modified = event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
  return event.button === 0 && !modified && !event.defaultPrevented;
}

function isHere(href: string): boolean {
  return new URL(href, location.href).pathname === path.peek();
}

function take(): void {
  path.value = location.pathname;
  search.value = location.search;
}
