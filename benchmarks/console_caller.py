"""A training process that prints lines; run by `bench_console.py`.

    python console_caller.py plain|stepwell|wandb FILE

It writes the sorted seconds of single `print` calls, of a burst and of rare lines, to FILE as JSON.
Both modules are called in the same words.
"""

import importlib
import json
import sys
import time
from pathlib import Path

LINES, RARE_LINES, RARE_SECONDS = 50_000, 100, 0.1


def timed_line(number: int) -> float:
    line = f"epoch {number // 1000:3d} step {number:6d} loss {1 / (number + 1):.6f} lr 1.0e-04"
    begun = time.perf_counter()
    print(line, flush=True)
    return time.perf_counter() - begun


def main(name: str, file: str) -> None:
    run = None
    if name != "plain":
        run = importlib.import_module(name).init(project="bench-console")
    burst = [timed_line(number) for number in range(LINES)]
    time.sleep(2)
    rare = []
    for number in range(RARE_LINES):
        rare.append(timed_line(number))
        time.sleep(RARE_SECONDS)
    if run is not None:
        run.finish()
    Path(file).write_text(json.dumps({"burst": sorted(burst), "rare": sorted(rare)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
