/** The steps of the medium in the large view: one metric of one run. */
import { useEffect, useRef, useState } from "preact/hooks";

import { listMediaSteps } from "../../api/hub.js";
import { neighbour } from "../../state/steps.js";
import type { MediaBoard } from "./board.js";

export interface StepTurn {
  readonly hasPrevious: boolean;
  readonly hasNext: boolean;
  turn(by: number): void;
}

/** The board's steps are those of all media, so a move over them can leave this one as it is. */
export function useMediumSteps(board: MediaBoard, project: string, runId: string, metric: string): StepTurn {
  const name = JSON.stringify([project, runId, metric]);
  const [found, setFound] = useState<{ of: string; steps: readonly number[] } | null>(null);
  /** The move that was asked for before the steps were known. */
  const waiting = useRef(0);
  const isOwn = board.own.value.has(metric);
  const at = isOwn ? board.own.value.get(metric)! : board.step.value;
  const steps = found?.of === name ? found.steps : null;

  function move(known: readonly number[], by: number): void {
    const isOwn = board.own.peek().has(metric);
    const current = isOwn ? board.own.peek().get(metric)! : board.step.peek();
    const next = neighbour(known, current, by);
    if (next === undefined) return;
    // Null is the newest step of the slider, which moves as steps are added.
    const all = isOwn ? board.stepsOf(metric) : board.steps.peek();
    const to = next === all.at(-1) ? null : next;
    if (isOwn) board.moveOwn(metric, to);
    else board.moveTo(to);
  }

  useEffect(() => {
    const asking = new AbortController();
    listMediaSteps(project, { runs: [runId], metric }, { signal: asking.signal }).then(
      ({ steps }) => {
        setFound({ of: name, steps });
        if (waiting.current !== 0) move(steps, waiting.current);
        waiting.current = 0;
      },
      () => undefined, // The values of the step tell what is wrong.
    );
    return () => asking.abort();
  }, [name, board.keys.value]); // New media change the keys.

  return {
    hasPrevious: steps !== null && neighbour(steps, at, -1) !== undefined,
    hasNext: steps !== null && neighbour(steps, at, 1) !== undefined,
    turn(by) {
      if (steps === null) waiting.current = by;
      else move(steps, by);
    },
  };
}
