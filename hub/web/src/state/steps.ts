/** Steps that have something, in order, and the moves over them. Pure. */

/** Index of the last step that is `step` or before it; -1 where all are later. */
export function indexAt(steps: readonly number[], step: number): number {
  let [from, to] = [0, steps.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (steps[middle]! <= step) from = middle + 1;
    else to = middle;
  }
  return from - 1;
}

/**
 * The step `by` steps away, kept inside. `null` is the newest step, which moves as steps are
 * added; the last step of the list is given as null, so that a viewer at the end stays there.
 */
export function moved(
  steps: readonly number[],
  step: number | null,
  by: number,
): number | null {
  const last = steps.length - 1;
  if (last < 0) return step;
  const at = step === null ? last : indexAt(steps, step);
  return stepOfIndex(steps, Math.min(Math.max(at + by, 0), last));
}

/** The step `by` places from the one that is shown at `step` (null: the last); undefined beyond the ends. */
export function neighbour(steps: readonly number[], step: number | null, by: number): number | undefined {
  const at = step === null ? steps.length - 1 : indexAt(steps, step);
  return steps[at + by];
}

/** The step of a slider's place; null for the last one. */
export function stepOfIndex(steps: readonly number[], index: number): number | null {
  return index >= steps.length - 1 ? null : (steps[Math.max(index, 0)] ?? null);
}
