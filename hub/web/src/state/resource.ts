/**
 * What a page asked the hub for: the last answer, the last failure, and whether a request runs.
 *
 * A new request ends the one before. The old answer stays while the new one is on its way, so a
 * page never goes blank, and it stays after a failure too.
 */
import { batch, signal, type ReadonlySignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { isAborted } from "../api/errors.js";

export interface Resource<T> {
  data: ReadonlySignal<T | null>;
  error: ReadonlySignal<Error | null>;
  isLoading: ReadonlySignal<boolean>;
  /** Ask again, by default as last time. Ends when the answer is in. */
  load(ask?: (signal: AbortSignal) => Promise<T>): Promise<void>;
  /** Put an answer in that came another way. */
  set(data: T): void;
  abort(): void;
}

export function makeResource<T>(firstAsk: (signal: AbortSignal) => Promise<T>): Resource<T> {
  const data = signal<T | null>(null);
  const error = signal<Error | null>(null);
  const isLoading = signal(false);
  let ask = firstAsk;
  let running: AbortController | null = null;

  async function load(nextAsk = ask): Promise<void> {
    ask = nextAsk;
    running?.abort();
    const mine = new AbortController();
    running = mine;
    isLoading.value = true;
    try {
      const answer = await ask(mine.signal);
      if (running === mine) batch(() => ((data.value = answer), (error.value = null)));
    } catch (failure) {
      if (running === mine && !isAborted(failure)) error.value = failure as Error;
    } finally {
      if (running === mine) {
        running = null;
        isLoading.value = false;
      }
    }
  }

  return {
    data,
    error,
    isLoading,
    load,
    set: (answer) => batch(() => ((data.value = answer), (error.value = null))),
    abort: () => {
      running?.abort();
      running = null;
      isLoading.value = false;
    },
  };
}

/** A resource of a component: asked for when `key` changes, ended when the component goes. */
export function useResource<T>(key: string, ask: (signal: AbortSignal) => Promise<T>): Resource<T> {
  const resource = useMemo(() => makeResource(ask), [key]);
  useEffect(() => {
    void resource.load();
    return resource.abort;
  }, [resource]);
  return resource;
}
