/** How a run's state is shown. Pure. */
import { formatAge, formatDuration } from "./format.js";

/** A running run of which nothing came for so long is shown as stale. */
export const STALE_SECONDS = 60;

export interface ShownState {
  word: string;
  kind: "live" | "stale" | "done" | "bad" | "other";
  title: string;
}

export function shownState(
  run: { state: string; lastSeen: number | null; exitCode: number | null; now: number },
): ShownState {
  const { state, lastSeen, exitCode, now } = run;
  const seen = lastSeen === null ? "" : `, last seen ${formatAge(lastSeen, now)}`;
  const exit = exitCode === null ? "" : `, exit code ${exitCode}`;
  switch (state) {
    case "running": {
      const isStale = lastSeen !== null && now - lastSeen > STALE_SECONDS;
      if (!isStale) return { word: "live", kind: "live", title: `running${seen}` };
      return { word: "stale", kind: "stale", title: `running, but silent for ${formatDuration(now - lastSeen)}` };
    }
    case "finished":
      return { word: "done", kind: "done", title: `finished${exit}` };
    case "crashed":
      return { word: "crash", kind: "bad", title: `crashed${exit}${seen}` };
    case "failed":
    case "killed":
      return { word: state, kind: "bad", title: `${state}${exit}${seen}` };
    default:
      return { word: state === "" ? "unknown" : state, kind: "other", title: `${state}${seen}` };
  }
}
