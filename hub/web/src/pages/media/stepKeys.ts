/** The keys that move the common step. */
import { useMemo } from "preact/hooks";

import { useKeys } from "../../state/keys.js";
import { moved } from "../../state/steps.js";
import type { MediaBoard } from "./board.js";

export function useStepKeys(board: MediaBoard): void {
  const keys = useMemo(() => {
    const move = (by: number) => () => board.moveTo(moved(board.steps.peek(), board.step.peek(), by));
    return [
      { keys: "[", what: "previous step", run: move(-1) },
      { keys: "]", what: "next step", run: move(1) },
    ];
  }, [board]);
  useKeys(keys);
}
