/** What panels of every kind have: name, buttons, what is shown in place of a chart. */
import type { Signal } from "@preact/signals";

import { Icon } from "../../parts/Icon.js";
import { copyText } from "../../state/clipboard.js";
import type { Board } from "./board.js";

export function PanelTitle({ metric }: { metric: string }) {
  return (
    <button
      type="button"
      class="panel-title"
      title={`Copy "${metric}"`}
      onClick={() => void copyText(metric)}
    >
      {metric || "(no name)"}
    </button>
  );
}

export function TableButton({ metric, isTable }: { metric: string; isTable: Signal<boolean> }) {
  return (
    <button
      type="button"
      class="quiet small panel-action"
      aria-pressed={isTable.value}
      aria-label={`${metric} as table`}
      title="View as table"
      onClick={() => (isTable.value = !isTable.value)}
    >
      <Icon name="table" />
    </button>
  );
}

export function FullButton({ metric, board }: { metric: string; board: Board }) {
  return (
    <button
      type="button"
      class="quiet small panel-action"
      aria-label={`${metric} on the full screen`}
      title="Full screen"
      onClick={() => board.change({ full: metric }, { push: true })}
    >
      <Icon name="full" />
    </button>
  );
}

interface PanelEmptyProps {
  isWaiting: boolean;
  hasRuns: boolean;
  /** Said when the answer is here and has nothing. */
  text: string;
}

export function PanelEmpty({ isWaiting, hasRuns, text }: PanelEmptyProps) {
  if (!hasRuns) return <p class="panel-empty">No run is drawn</p>;
  if (isWaiting) return <div class="panel-waiting" role="status" aria-label="Loading" />;
  return <p class="panel-empty">{text}</p>;
}

export function PanelError({ message, onRetry }: { message: string; onRetry: () => void }) {
  return (
    <p class="panel-error" role="alert">
      <span>{message}</span>
      <button type="button" class="small" onClick={onRetry}>
        Try again
      </button>
    </p>
  );
}
