/** Short messages at the page's edge: what was done, or what failed. */
import { signal } from "@preact/signals";

export interface Toast {
  id: number;
  text: string;
  kind: "plain" | "bad";
}

const SHOWN_MS = 6000;
const COUNT_MAX = 4;

export const toasts = signal<readonly Toast[]>([]);
let nextId = 1;

export function say(text: string, kind: Toast["kind"] = "plain"): void {
  const id = nextId++;
  toasts.value = [...toasts.peek(), { id, text, kind }].slice(-COUNT_MAX);
  setTimeout(() => close(id), SHOWN_MS);
}

export function close(id: number): void {
  toasts.value = toasts.peek().filter((toast) => toast.id !== id);
}
