"""Processes that log images until they are killed; see `trainers.py`.

    python -m tests.system.image_trainers NUMBER COUNTS

The pixels follow from run, step and place in the list.
"""

import mmap
import random
import sys
import time

import numpy as np
from numpy.typing import NDArray

from tests.system.trainers import PROJECT

IMAGES = 2
"""In each row."""


def pixels_of(run: int, step: int, place: int) -> NDArray[np.uint8]:
    """Return what run, step and place determine; of several sizes, none like another."""
    generator = np.random.default_rng((run, step, place))
    height, width = 8 + step % 5, 6 + place
    return generator.integers(0, 256, (height, width, 3), dtype=np.uint8)


def train(number: int, counts_path: str) -> None:
    """Log until killed."""
    import stepwell

    with open(counts_path, "r+b") as file:
        counts = memoryview(mmap.mmap(file.fileno(), 4096)).cast("Q")
    run = stepwell.init(project=PROJECT, id=f"crash{number}", config={"number": number})
    pause = random.Random(number)
    step = 0
    while True:
        pictures = [stepwell.Image(pixels_of(number, step, place)) for place in range(IMAGES)]
        counts[0] = step + 1
        run.log({"shown": pictures, "step": step}, step=step)
        counts[1] = step + 1
        step += 1
        time.sleep(pause.uniform(0.0, 0.06))


if __name__ == "__main__":
    train(int(sys.argv[1]), sys.argv[2])
