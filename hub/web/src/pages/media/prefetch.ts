/** Reads the pictures of the steps beside the one that is shown, so that a move shows them at once. */
import type { MediaValue } from "../../api/types.js";
import { moved } from "../../state/steps.js";
import { itemKind } from "./items.js";

/** Pictures of one step that are read before they are asked for. */
const PICTURES_MAX = 48;
/** Addresses that are remembered as read. */
const KNOWN_MAX = 2000;

/** The steps beside `step`, the next one first; without `step` itself. Pure. */
export function neighbours(steps: readonly number[], step: number | null): (number | null)[] {
  if (steps.length < 2) return [];
  const all = [moved(steps, step, 1), moved(steps, step, -1)];
  return all.filter((each) => each !== step && !(each === null && step === steps[steps.length - 1]));
}

export interface Prefetcher {
  /** Read what `ask` finds at each step; a newer call ends this one. */
  read(steps: readonly (number | null)[], ask: AskAt): Promise<void>;
  close(): void;
}

type AskAt = (step: number | null, signal: AbortSignal) => Promise<readonly MediaValue[]>;

export function makePrefetcher(load: (url: string) => void = loadPicture): Prefetcher {
  const known = new Set<string>();
  let running: AbortController | null = null;
  return {
    async read(steps, ask) {
      running?.abort();
      const mine = (running = new AbortController());
      for (const step of steps) {
        const values = await ask(step, mine.signal).catch(() => []); // The move itself tells what is wrong.
        if (mine.signal.aborted) return;
        if (known.size > KNOWN_MAX) known.clear();
        const urls = pictureUrls(values).filter((url) => !known.has(url));
        for (const url of urls.slice(0, PICTURES_MAX)) {
          known.add(url);
          load(url);
        }
      }
    },
    close: () => running?.abort(),
  };
}

function pictureUrls(values: readonly MediaValue[]): string[] {
  const items = values.flatMap((value) => value.items);
  return items.filter((item) => item.state === "ready" && item.url !== "" && itemKind(item) === "image").map(({ url }) => url);
}

function loadPicture(url: string): void {
  const picture = new Image();
  picture.decoding = "async";
  picture.src = url;
}
