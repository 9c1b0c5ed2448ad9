"""Kill everything at random and compare what `log` returned for with what the store holds.

Trainers log rows whose values follow from run, step and key, and note how many calls they began
and how many returned. Trainers, the daemon and the engine are killed with SIGKILL at random
moments and started again. In the end the store must hold every row whose `log` returned, each
exactly once; a row whose call was cut short may be there or not. Statistics and rollups must
count the very same points.

    python -m tests.system.crash --kills 1000 [--seed N] [--gateway | --server]

With ``--gateway`` the trainers log to two daemons that relay to a third, which has the store; all
three are killed. With ``--server`` the daemon stores in a real ClickHouse server (Debian's
clickhouse-server), which is killed as well.

A failure prints the seed. The schedule of kills follows from it; the machine's timing does not.
"""

import argparse
import random
import time
from typing import Any

from tests.system.world import Shape, world


def run(
    *, kills: int, seed: int, trainers: int = 3, shape: Shape = "embedded", keep: bool = False
) -> dict[str, Any]:
    """Kill ``kills`` times, then compare. Returns what happened, for the report."""
    print(f"seed={seed} kills={kills} shape={shape}", flush=True)
    with world(seed, shape, keep=keep) as made:
        for node in made.with_daemons:
            node.launch_daemon()
        number = 0
        for _ in range(trainers):
            made.start_trainer(number)
            number += 1
        time.sleep(2.0)
        for _ in range(kills):
            # Mostly in quick succession, now and then long enough for all to be well again.
            time.sleep(made.random.choice([0.02, 0.1, 0.3, 0.3, 0.6, 1.5]) * made.random.random())
            if made.kill_one(number) == "trainer":
                number += 1
            made.check_daemons()
        made.stop_trainers()
        made.wait_until_stored(timeout_seconds=180)
        return {**made.compare(), "kills": dict(made.kills), "runs": number}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int)
    shapes = parser.add_mutually_exclusive_group()
    for shape, what in (("gateway", "over two daemons that relay"), ("server", "into a server")):
        shapes.add_argument(
            f"--{shape}", dest="shape", action="store_const", const=shape, help=what
        )
    parser.set_defaults(shape="embedded")
    parser.add_argument("--keep", action="store_true", help="keep the folder of the test")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(2**32)
    print(run(kills=options.kills, seed=seed, shape=options.shape, keep=options.keep))


if __name__ == "__main__":
    main()
