"""How good are the trials that the search by model proposes?

Three functions and a table of real results, 50 trials one after the other, 20 seeds: the regret
(the best value so far less the least that there is) of our search, of wandb's own (its package
`sweeps`, in an environment of its own) and of our random search, in one run. The interval holds
95 % of the medians of 10,000 samples of the seeds, drawn with replacement.

    python -m benchmarks.bench_sweep_quality [--seeds 20] [--python PATH]
"""

import argparse
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.harness import table
from benchmarks.sweep_problems import Problem, problems

TRIALS: Final = 50
SEEDS: Final = 20
_SAMPLES: Final = 10_000
_PACKAGE: Final = "sweeps==0.3.0"
_FOLDER: Final = Path(__file__).parent
# One process a core, each with one thread: matrices are small.
_ENVIRONMENT: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

Found = dict[tuple[str, str], list[float]]
"""Regrets by problem and search."""


def _search(task: tuple[str, int, int], *, path: Path) -> tuple[str, str, float, float]:
    """Return method, problem, regret and seconds a suggestion of one search of ours."""
    from stepwell_hub.sweeps.bayes import BayesSearch, Seen
    from stepwell_hub.sweeps.config import parse_config
    from stepwell_hub.sweeps.search import random_trial

    method, place, seed = task
    problem: Problem = problems(path)[place]
    config = parse_config({"method": "bayes", **problem.config})
    model, seen = BayesSearch(config, seed), []
    seconds = 0.0
    for number in range(1, TRIALS + 1):
        start = time.perf_counter()
        if method == "random":
            params = random_trial(config, seed, number)
        else:
            params = model.suggest(seen, number)
        seconds += time.perf_counter() - start
        value = problem.value(params)
        seen.append(Seen(number, json.dumps(params), "finished", value, value))
    best = min(each.best for each in seen if each.best is not None)
    return method, problem.name, best - problem.best, seconds / TRIALS


def _ours(path: Path, seeds: int) -> tuple[Found, float]:
    """Return the regrets, and seconds a suggestion of the model."""
    places = range(len(problems(path)))
    tasks = [
        (method, place, seed)
        for method in ("stepwell", "random")
        for place in places
        for seed in range(seeds)
    ]
    found: Found = defaultdict(list)
    seconds = []
    with multiprocessing.get_context("spawn").Pool() as pool:
        for method, name, regret, took in pool.imap_unordered(partial(_search, path=path), tasks):
            found[name, method].append(regret)
            if method == "stepwell":
                seconds.append(took)
    return found, sum(seconds) / len(seconds)


def _wandbs(python: Path, path: Path, seeds: int) -> Found:
    words = [str(python), str(_FOLDER / "sweep_quality_wandb.py"), str(path), str(seeds)]
    done = subprocess.run([*words, str(TRIALS)], stdout=subprocess.PIPE, text=True, check=True)
    bests = {each.name: each.best for each in problems(path)}
    found: Found = defaultdict(list)
    for line in done.stdout.splitlines():
        told: dict[str, Any] = json.loads(line)
        name = told["problem"]
        found[name, "wandb"].append(min(told["values"]) - bests[name])
    return found


def interval(regrets: list[float]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the median."""
    source = random.Random(0)
    medians = sorted(median(source.choices(regrets, k=len(regrets))) for _ in range(_SAMPLES))
    return medians[int(0.025 * _SAMPLES)], medians[int(0.975 * _SAMPLES)]


def _environment(folder: Path) -> Path:
    """Return the interpreter of a new environment with wandb's package."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "-q", _PACKAGE], check=True)
    return python


def main(*, seeds: int = SEEDS, python: Path | None = None) -> None:
    os.environ.update(_ENVIRONMENT)
    os.environ["PYTHONWARNINGS"] = "ignore"
    with tempfile.TemporaryDirectory(prefix="sw-bench-") as folder:
        python = python or _environment(Path(folder) / "environment")
        path = Path(folder) / "table.json"
        subprocess.run([str(python), str(_FOLDER / "sweep_problems.py"), str(path)], check=True)
        start = time.monotonic()
        found, seconds = _ours(path, seeds)
        middle = time.monotonic()
        found |= _wandbs(python, path, seeds)
        end = time.monotonic()
        rows = []
        for problem in problems(path):
            for method in ("stepwell", "wandb", "random"):
                regrets = found[problem.name, method]
                low, high = interval(regrets)
                figures = (f"{median(regrets):.2g}", f"{low:.2g} to {high:.2g}")
                rows.append((problem.name, method, *figures))
    print(table(("problem", "search", "median regret", "95 % interval"), rows))
    print(
        f"\n{TRIALS} trials, {seeds} seeds. A suggestion of ours took {seconds * 1000:.0f} ms; "
        f"all of ours {middle - start:.0f} s, all of wandb's {end - middle:.0f} s."
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--python", type=Path, help=f"an interpreter that has {_PACKAGE}")
    options = parser.parse_args()
    main(seeds=options.seeds, python=options.python)
