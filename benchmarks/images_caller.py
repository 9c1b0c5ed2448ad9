"""A training process that logs pictures when it is told to; run by `bench_images.py`.

    python images_caller.py stepwell|wandb

For each line on stdin it makes eight pictures, logs them, and prints the seconds of the call.
Both modules are called in the same words.
"""

import importlib
import sys
import time
from typing import Any

import numpy as np
from PIL import Image

SIDE, COUNT = 512, 8


def smooth_noise(generator: np.random.Generator) -> Any:
    """Return a picture that is smooth, as photographs are, and unlike any other."""
    small = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    large = Image.fromarray(small).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.ascontiguousarray(np.asarray(large))


def main(name: str) -> None:
    module = importlib.import_module(name)
    run = module.init(project="bench-images")
    generator = np.random.default_rng(1)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        pictures = [smooth_noise(generator) for _ in range(COUNT)]
        began = time.perf_counter()
        run.log({"pictures": [module.Image(each, caption="noise") for each in pictures]})
        seconds = time.perf_counter() - began
        if line == "and flush\n" and name == "stepwell":
            run.flush()
        sys.stdout.write(f"{seconds}\n")
        sys.stdout.flush()
    run.finish()


if __name__ == "__main__":
    main(sys.argv[1])
