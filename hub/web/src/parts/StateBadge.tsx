/** A run's state, as a word with a colour. A finished run needs none in lists. */
import { now } from "../state/clock.js";
import { shownState } from "./shownState.js";

interface StateBadgeProps {
  state: string;
  lastSeen: number | null;
  exitCode?: number | null;
  /** Say "finished" too. */
  always?: boolean;
}

export function StateBadge({ state, lastSeen, exitCode = null, always = false }: StateBadgeProps) {
  const { word, kind, title } = shownState({ state, lastSeen, exitCode, now: now.value });
  if (kind === "done" && !always) return null;
  return (
    <span class={`badge ${kind}`} title={title}>
      {word}
    </span>
  );
}
