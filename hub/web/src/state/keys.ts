/**
 * Shortcuts: single keys and pairs like `g t`. Never while a field takes the typing.
 *
 * A component names its keys with `useKeys`; the newest meaning of a key counts, and the list that
 * `?` opens is what is named at the moment. A setting turns single keys off (WCAG 2.1.4).
 */
import { computed, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

export interface Shortcut {
  /** One key as KeyboardEvent.key names it, or two with a space between; "Ctrl+" may stand before. */
  keys: string;
  /** What it does, for the list; a short verb phrase. */
  what: string;
  run(): void;
}

const PAIR_MS = 1200;
const SETTING = "stepwell.shortcuts";

const named = signal<readonly (readonly Shortcut[])[]>([]);

/** The shortcuts that work now, without those that a newer one replaced. */
export const shortcuts = computed<readonly Shortcut[]>(() => {
  const byKeys = new Map<string, Shortcut>();
  for (const shortcut of named.value.flat()) byKeys.set(shortcut.keys, shortcut);
  return [...byKeys.values()];
});

export const areShortcutsOn = signal(readSetting());

export function setShortcutsOn(areOn: boolean): void {
  areShortcutsOn.value = areOn;
  try {
    localStorage.setItem(SETTING, areOn ? "on" : "off");
  } catch {
    // Storage is blocked: the choice lasts as long as the page.
  }
}

export function useKeys(own: readonly Shortcut[]): void {
  useEffect(() => {
    named.value = [...named.peek(), own];
    return () => (named.value = named.peek().filter((each) => each !== own)) && undefined;
  }, [own]);
}

export function followKeys(): void {
  let first = "";
  let firstAt = 0;
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.altKey) return;
    const hasControl = event.ctrlKey || event.metaKey;
    if (!hasControl && (isTyping(event.target) || !areShortcutsOn.peek())) return;
    if (document.querySelector("dialog[open]")) return;
    const key = (hasControl ? "Ctrl+" : "") + event.key;
    const pair = event.timeStamp - firstAt < PAIR_MS ? `${first} ${key}` : "";
    const found = find(pair) ?? find(key);
    first = found ? "" : key;
    firstAt = event.timeStamp;
    if (!found || isActivation(event)) return;
    event.preventDefault();
    found.run();
  });
}

function find(keys: string): Shortcut | undefined {
  return shortcuts.peek().find((shortcut) => shortcut.keys === keys);
}

/** Space and Enter belong to the button or link that has the focus. */
function isActivation(event: KeyboardEvent): boolean {
  if (event.key !== " " && event.key !== "Enter") return false;
  return (event.target as Element).closest("a, button, summary, [role=tab]") !== null;
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !["checkbox", "radio", "button"].includes(target.type);
  return target.isContentEditable || ["TEXTAREA", "SELECT"].includes(target.tagName);
}

function readSetting(): boolean {
  try {
    return localStorage.getItem(SETTING) !== "off";
  } catch {
    return true;
  }
}
