"""A long quiet hour: writers come, log and go; nothing may grow.

    python -m tests.faults.soak --minutes 60

Training processes log at a moderate rate, live for a while, finish and are followed by others.
Memory, descriptors and threads of the daemon and of its engine and the size of the spool are
sampled all the while. In the end everything that was logged must be stored, exactly, and the last
quarter of the samples must not lie above the first (after a warm-up) by more than `Allowed`.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from stepwell_store import connect_embedded
from tests.node import Node, made_node
from tests.waiting import wait_until

KEYS = 10
_WARM_UP = 0.15  # of all samples
_MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """By how much the median of the last quarter may lie above that of the first."""

    daemon_rss_mib: float = 16.0
    daemon_descriptors: float = 8.0
    daemon_threads: float = 4.0
    engine_rss_mib: float = 256.0
    """ClickHouse fills caches that have limits of their own, all within `engine_memory_bytes`."""
    engine_descriptors: float = 64.0
    engine_threads: float = 16.0


@dataclass(slots=True)
class Samples:
    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, **values: float) -> None:
        for name, value in values.items():
            self.values.setdefault(name, []).append(value)

    def growth(self) -> dict[str, float]:
        """Return how far the last quarter's median lies above the first's, by name."""
        grown = {}
        for name, values in self.values.items():
            settled = values[int(len(values) * _WARM_UP) :]
            quarter = max(1, len(settled) // 4)
            first, last = settled[:quarter], settled[-quarter:]
            grown[name] = statistics.median(last) - statistics.median(first)
        return grown


def train(seconds: float, rate: float, seed: int) -> None:
    """Log ``rate`` steps a second; print how many points. Runs in a process of its own."""
    import stepwell

    run = stepwell.init(project="soak", config={"seed": seed}, settings={"console": "off"})
    noise = random.Random(seed)
    end = time.monotonic() + seconds
    step = 0
    while time.monotonic() < end:
        run.log({f"metric/{key}": noise.random() for key in range(KEYS)})
        step += 1
        time.sleep(1.0 / rate)
    run.finish()
    print(step * KEYS)


class Trainers:
    """A fixed number of training processes, each replaced when it ends."""

    def __init__(self, node: Node, *, count: int, rate: float, life: float, seed: int) -> None:
        self._node = node
        self._random = random.Random(seed)
        self._rate, self._life = rate, life
        self.points = self.ended = 0
        self._alive = [self._start() for _ in range(count)]

    def _start(self) -> subprocess.Popen[str]:
        seconds = self._life * self._random.uniform(0.3, 1.0)
        words = [*(sys.executable, "-m", "tests.faults.soak", "--train")]
        words += [str(seconds), str(self._rate), str(self._random.randrange(1 << 30))]
        return subprocess.Popen(
            words, env=self._node.environment, stdout=subprocess.PIPE, text=True
        )

    def _collect(self, trainer: subprocess.Popen[str]) -> None:
        out, _ = trainer.communicate(timeout=300)
        assert trainer.returncode == 0, f"a training process ended with {trainer.returncode}"
        self.points += int(out.split()[-1])
        self.ended += 1

    def replace_ended(self) -> None:
        for index, trainer in enumerate(self._alive):
            if trainer.poll() is not None:
                self._collect(trainer)
                self._alive[index] = self._start()

    def wait(self) -> None:
        for trainer in self._alive:
            self._collect(trainer)
        self._alive = []

    def kill(self) -> None:
        for trainer in self._alive:
            trainer.kill()
            trainer.wait()


@contextmanager
def trainers_of(node: Node, **settings: Any) -> Iterator[Trainers]:
    made = Trainers(node, **settings)
    try:
        yield made
    finally:
        made.kill()


def sample(node: Node, samples: Samples) -> None:
    assert node.daemon is not None
    assert node.daemon.poll() is None, "the daemon ended by itself"
    daemon = psutil.Process(node.daemon.pid)
    spool = sum(path.stat().st_blocks * 512 for path in (node.data / "spool").glob("*.seg"))
    samples.add(spool_mib=spool / _MIB, **_figures("daemon", daemon))
    for child in daemon.children():
        try:
            samples.add(**_figures("engine", child))
        except psutil.NoSuchProcess:
            continue


def _figures(name: str, process: psutil.Process) -> dict[str, float]:
    return {
        f"{name}_rss_mib": process.memory_info().rss / _MIB,
        f"{name}_descriptors": float(process.num_fds()),
        f"{name}_threads": float(process.num_threads()),
    }


def stored_points(data: Path) -> dict[str, int]:
    """Return how many points each table counts."""
    store = connect_embedded(data)
    try:
        queries = {
            "points": "SELECT count() AS n FROM points",
            "series_stats": "SELECT sum(count) AS n FROM series_stats",
            "rollups": "SELECT sum(count) AS n FROM step_rollups WHERE width = 64",
        }
        return {name: int(store.query(sql)[0]["n"]) for name, sql in queries.items()}
    finally:
        store.close()


def soak(
    node: Node,
    *,
    seconds: float,
    writers: int,
    rate: float,
    life: float,
    every: float = 2.0,
    seed: int = 1,
    tell: Callable[[str], None] = print,
) -> Samples:
    """Run for ``seconds`` and return the samples.

    Raises:
        AssertionError: A point is lost or doubled, or a process ended by itself.
    """
    samples = Samples()
    node.start_daemon()
    started = told = time.monotonic()
    with trainers_of(node, count=writers, rate=rate, life=life, seed=seed) as trainers:
        while time.monotonic() - started < seconds:
            time.sleep(every)
            trainers.replace_ended()
            sample(node, samples)
            if time.monotonic() - told > 60:
                told = time.monotonic()
                latest = {name: round(values[-1], 1) for name, values in samples.values.items()}
                tell(f"{(told - started) / 60:.0f} min {json.dumps(latest)}")
        trainers.wait()
        logged, runs = trainers.points, trainers.ended
    wait_until(lambda: stored_points(node.data)["points"] >= logged, "everything to be stored")
    stored = stored_points(node.data)
    assert set(stored.values()) == {logged}, f"logged {logged}, stored {stored}"
    tell(f"{runs} runs, {logged} points, all stored once")
    return samples


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--writers", type=int, default=6)
    parser.add_argument("--rate", type=float, default=50.0, help="steps a second of each writer")
    parser.add_argument("--life", type=float, default=60.0, help="seconds that a writer lives")
    parser.add_argument("--train", nargs=3, metavar=("SECONDS", "RATE", "SEED"))
    options = parser.parse_args()
    if options.train:
        seconds, rate, seed = options.train
        train(float(seconds), float(rate), int(seed))
        return
    with made_node() as node:
        samples = soak(
            node,
            seconds=options.minutes * 60,
            writers=options.writers,
            rate=options.rate,
            life=options.life,
        )
    grown = samples.growth()
    allowed = asdict(Allowed())
    print(json.dumps({name: round(value, 2) for name, value in grown.items()}))
    too_much = [name for name, limit in allowed.items() if grown[name] > limit]
    if too_much:
        sys.exit(f"grew by more than is allowed: {', '.join(too_much)}")


if __name__ == "__main__":
    main()
