"""Processes that log until they are killed, and note what they logged where a kill leaves it.

    python -m tests.system.trainers NUMBER COUNTS

Values follow from run, step and key. COUNTS is a small shared file: it outlives a SIGKILL, as the
journal does.
"""

import mmap
import random
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

KEYS = 5
PROJECT = "crash"


def value_of(run: int, step: int, key: int) -> float:
    """Return the value that run, step and key determine; exact in float64."""
    return float((run * 1_000_003 + step * 7 + key) % 2_000_003) / 8.0


@dataclass
class Trainer:
    number: int
    process: subprocess.Popen[bytes]
    counts_path: Path

    @classmethod
    def started(
        cls,
        number: int,
        folder: Path,
        environment: Mapping[str, str],
        module: str = "tests.system.trainers",
    ) -> Self:
        """Start number ``number``, which keeps its counts and what it says in ``folder``."""
        path = folder / f"counts-{number}"
        path.write_bytes(bytes(4096))
        with (folder / "trainers.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module, str(number), str(path)],
                env=environment,
                stdout=log,
                stderr=log,
            )
        return cls(number, process, path)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def counts(self) -> tuple[int, int]:
        """Return how many calls of `log` were begun and how many returned."""
        began, returned = struct.unpack("<QQ", self.counts_path.read_bytes()[:16])
        return began, returned


def train(number: int, counts_path: str) -> None:
    """Log until killed."""
    import stepwell

    with open(counts_path, "r+b") as file:
        counts = memoryview(mmap.mmap(file.fileno(), 4096)).cast("Q")
    run = stepwell.init(project=PROJECT, id=f"crash{number}", config={"number": number})
    step = 0
    pause = random.Random(number)
    while True:
        row = {f"metric/{key}": value_of(number, step, key) for key in range(KEYS)}
        counts[0] = step + 1
        run.log(row, step=step)
        counts[1] = step + 1
        step += 1
        if step % 50 == 0:
            run.log({"note": f"at {step}"}, step=step - 1)
        if step % 97 == 0:
            run.config.update({f"late/{step}": step}, allow_val_change=True)
        if step % 64 == 0:
            time.sleep(pause.uniform(0.0, 0.02))


if __name__ == "__main__":
    train(int(sys.argv[1]), sys.argv[2])
