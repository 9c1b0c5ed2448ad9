/** A sweep and its trials, read again and again: settled trials are read once, and again when runs were deleted. */
import { getSweep, listTrials, type Sweep, type Trial } from "../../api/sweeps.js";
import { settledCount, trialCount, withNews } from "./trials.js";

export const TRIALS_MAX = 10_000;

export interface SweepAndTrials {
  sweep: Sweep;
  trials: readonly Trial[];
  /** There are more trials than are read. */
  isCut: boolean;
}

export function sweepReader(sweepId: string): (signal: AbortSignal) => Promise<SweepAndTrials> {
  let known: readonly Trial[] = [];
  let deletedRuns = 0;
  return async (signal) => {
    const kept = settledCount(known);
    const after = kept === 0 ? 0 : known[kept - 1]!.number;
    const limit = TRIALS_MAX - kept;
    const [sweep, page] = await Promise.all([
      getSweep(sweepId, { signal }),
      limit > 0 ? listTrials(sweepId, { limit, after }, { signal }) : null,
    ]);
    if (kept > 0 && sweep.deleted_runs !== deletedRuns) {
      const all = await listTrials(sweepId, { limit: TRIALS_MAX, after: 0 }, { signal });
      known = withNews(known, 0, all.trials);
    } else if (page !== null) known = withNews(known, kept, page.trials);
    deletedRuns = sweep.deleted_runs;
    return { sweep, trials: known, isCut: known.length >= TRIALS_MAX && trialCount(sweep) > known.length };
  };
}
