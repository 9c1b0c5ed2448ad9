"""Agents of a sweep that are killed, and the training that each trial is.

    python -m tests.system.sweep_agents SWEEP function|command FOLDER
    python -m tests.system.sweep_agents train FOLDER

A trial's values follow from its parameters and the step. A run that logged all of them leaves a
file of its name in FOLDER.
"""

import sys
import time
from pathlib import Path
from typing import Any

import stepwell
from stepwell._sweeps.calls import run_agent

STEPS = 10
_STEP_SECONDS = 0.05


def config_of(points: int, folder: Path) -> dict[str, Any]:
    """Return a grid of about so many points."""
    return {
        "method": "grid",
        "metric": {"name": "loss"},
        "parameters": {
            "x": {"values": [0.5, 1.5, 2.5]},
            "y": {"min": 1, "max": -(-points // 3)},
        },
        "command": [sys.executable, "-m", "tests.system.sweep_agents", "train", str(folder)],
    }


def loss_at(params: dict[str, Any], step: int) -> float:
    """Return the value at a step; it falls, so the last one is the best."""
    return float(params["x"] * 64 + params["y"] * 1024 - step)


def train(folder: Path) -> None:
    run = stepwell.init(settings={"metadata": False, "console": "off"})
    params = {"x": run.config["x"], "y": run.config["y"]}
    for step in range(STEPS):
        run.log({"loss": loss_at(params, step)})
        time.sleep(_STEP_SECONDS)
    (folder / f"ran-{run.id}").touch()
    run.finish()


def main() -> None:
    what, *rest = sys.argv[1:]
    if what == "train":
        train(Path(rest[0]))
        return
    kind, folder = rest
    run_agent(what, (lambda: train(Path(folder))) if kind == "function" else None)


if __name__ == "__main__":
    main()
