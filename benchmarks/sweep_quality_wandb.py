"""Trials that wandb's own search proposes; run by an interpreter that has its package `sweeps`.

    python sweep_quality_wandb.py TABLE SEEDS TRIALS

Prints a JSON line for each search: problem, seed, and the values of its trials in their order.
"""

import json
import multiprocessing
import sys
import warnings
from functools import partial
from pathlib import Path

from sweep_problems import problems  # Beside this file: this environment has no stepwell.


def search(task: tuple[int, int], *, table: Path, trials: int) -> str:
    import numpy
    import sweeps

    warnings.simplefilter("ignore")
    place, seed = task
    problem = problems(table)[place]
    numpy.random.seed(seed)
    config = {"method": "bayes", **problem.config}
    runs: list[sweeps.SweepRun] = []
    values = []
    for _ in range(trials):
        run = sweeps.next_run(config, runs)
        value = problem.value({name: each["value"] for name, each in run.config.items()})
        run.state = sweeps.RunState.finished
        run.summary_metrics = {"loss": value}
        runs.append(run)
        values.append(value)
    return json.dumps({"problem": problem.name, "seed": seed, "values": values})


def main() -> None:
    table, seeds, trials = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    tasks = [(place, seed) for place in range(len(problems(table))) for seed in range(seeds)]
    with multiprocessing.Pool() as pool:
        for line in pool.imap_unordered(partial(search, table=table, trials=trials), tasks):
            print(line, flush=True)


if __name__ == "__main__":
    main()
