"""Walk at random, seed by seed.

    python -m tests.system.walk --seeds 100 --first 1 [--moves 30] [--gateway] [--keep]

A failure prints the seed and what was done before it. What is done follows from the seed; the
machine's timing does not. The folder of a walk that failed is kept.
"""

import argparse
import time

from tests.system.walk.once import WalkError, walk
from tests.system.walk.site import Shape


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=100, help="so many walks")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--moves", type=int, default=30, help="of each walk")
    parser.add_argument("--gateway", action="store_true", help="train on a node that relays")
    parser.add_argument("--keep", action="store_true", help="keep the folders")
    parser.add_argument("--minutes", type=float, default=0.0, help="begin none after; 0: all")
    options = parser.parse_args()
    began, failed, count = time.monotonic(), [], 0
    for seed in range(options.first, options.first + options.seeds):
        if options.minutes and time.monotonic() - began > options.minutes * 60:
            break
        since = time.monotonic()
        shape: Shape = "gateway" if options.gateway else "embedded"
        count += 1
        try:
            done = walk(seed, moves=options.moves, shape=shape, keep=options.keep)
        except WalkError as error:
            failed.append(seed)
            print(error, flush=True)
        else:
            runs, took = len(done.model.runs), time.monotonic() - since
            print(
                f"seed {seed}: {len(done.done)} moves, {runs} runs in the end, {took:.1f} s",
                flush=True,
            )
    print(f"{count} walks, failed seeds: {failed or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
