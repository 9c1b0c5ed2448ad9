/** How a run's state is shown: by the word that filters, the API and the command line have. Pure. */
import { formatAge, formatDuration } from "./format.js";

/** A running run of which nothing came for so long is shown as stale. */
export const STALE_SECONDS = 60;

export interface ShownState {
  word: string;
  kind: "live" | "stale" | "done" | "bad" | "other";
  title: string;
}

/** The signals that end a training process, by their numbers on Linux. */
const SIGNALS = new Map([
  [1, "SIGHUP"], [2, "SIGINT"], [3, "SIGQUIT"], [6, "SIGABRT"], [9, "SIGKILL"], [10, "SIGUSR1"], [11, "SIGSEGV"],
  [12, "SIGUSR2"], [15, "SIGTERM"], [24, "SIGXCPU"],
]);

/** The signal that the exit code of a killed process names, as a shell shows it; "" where it names none. */
export function signalName(code: number | null): string {
  return SIGNALS.get((code ?? 0) - 128) ?? "";
}

/** The store has -1 where no exit code is known. */
export function exitCodeText(code: number, state = ""): string {
  const signal = state === "killed" ? signalName(code) : "";
  if (code < 0) return "unknown";
  return signal === "" ? String(code) : `${code} (${signal})`;
}

export function shownState(
  run: { state: string; lastSeen: number | null; exitCode: number | null; now: number },
): ShownState {
  const { state, lastSeen, exitCode, now } = run;
  const seen = lastSeen === null ? "" : `, last seen ${formatAge(lastSeen, now)}`;
  const exit = exitCode === null ? "" : `, exit code ${exitCodeText(exitCode)}`;
  switch (state) {
    case "running": {
      const isStale = lastSeen !== null && now - lastSeen > STALE_SECONDS;
      if (!isStale) return { word: state, kind: "live", title: `Running: its process logs${seen}` };
      const silence = formatDuration(now - lastSeen);
      return { word: "stale", kind: "stale", title: `Running, but no data for ${silence}: it may hang, or its node is unreachable` };
    }
    case "finished":
      return { word: state, kind: "done", title: `Finished: its process reported the end${exit}` };
    case "crashed":
      return { word: state, kind: "bad", title: `Crashed: its process disappeared without finish${exit}${seen}` };
    case "failed":
      return { word: state, kind: "bad", title: `Failed: it ended with an error${exit}${seen}` };
    case "killed":
      return { word: state, kind: "bad", title: `Killed: ${signalName(exitCode) || "a signal"} ended it${exit}${seen}` };
    default:
      return { word: state === "" ? "unknown" : state, kind: "other", title: `${state}${seen}` };
  }
}
