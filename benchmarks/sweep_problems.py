"""What searches are tried on: functions with a known best value, and a table of real results.

Needs the standard library alone, as wandb's package runs in an environment of its own. The table
needs scikit-learn, once: ``python sweep_problems.py TABLE`` writes it.
"""

import json
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

Params = Mapping[str, Any]

_HARTMANN_ALPHA: Final = (1.0, 1.2, 3.0, 3.2)
_HARTMANN_A: Final = (
    (10.0, 3.0, 17.0, 3.5, 1.7, 8.0),
    (0.05, 10.0, 17.0, 0.1, 8.0, 14.0),
    (3.0, 3.5, 1.7, 10.0, 17.0, 8.0),
    (17.0, 8.0, 0.05, 10.0, 0.1, 14.0),
)
_HARTMANN_P: Final = (
    (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886),
    (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
    (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650),
    (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
)
_TABLE: Final[dict[str, list[Any]]] = {
    "C": [10.0**each for each in range(-2, 6)],
    "gamma": [10.0**each for each in range(-5, 3)],
    "epsilon": [0.01, 0.1, 1.0, 10.0],
    "kernel": ["rbf", "poly", "sigmoid"],
}


@dataclass(frozen=True)
class Problem:
    """``best`` is the least value that there is."""

    name: str
    parameters: dict[str, Any]
    value: Callable[[Params], float]
    best: float

    @property
    def config(self) -> dict[str, Any]:
        """The sweep's configuration, without a method."""
        return {"parameters": self.parameters, "metric": {"name": "loss", "goal": "minimize"}}


def problems(table: Path) -> list[Problem]:
    """Return all of them; ``table`` is a file that `write_table` made."""
    losses = json.loads(table.read_text())
    return [
        Problem(
            "Branin",
            {"x": {"min": -5.0, "max": 10.0}, "y": {"min": 0.0, "max": 15.0}},
            branin,
            0.39788735772973816,
        ),
        Problem(
            "Hartmann 6",
            {f"x{place}": {"min": 0.0, "max": 1.0} for place in range(6)},
            hartmann,
            -3.322368011391339,
        ),
        Problem(
            "mixed",
            {
                "lr": {"distribution": "log_uniform_values", "min": 1e-6, "max": 1.0},
                "decay": {"distribution": "log_uniform_values", "min": 1e-8, "max": 1e-1},
                "layers": {"min": 1, "max": 12},
                "optimizer": {"values": ["sgd", "adam", "rmsprop"]},
            },
            mixed,
            0.0,
        ),
        Problem(
            "diabetes, SVR",
            {name: {"values": values} for name, values in _TABLE.items()},
            lambda params: float(losses[_key(params)]),
            min(losses.values()),
        ),
    ]


def branin(params: Params) -> float:
    x, y = params["x"], params["y"]
    inner = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return float(inner**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10)


def hartmann(params: Params) -> float:
    point = [params[f"x{place}"] for place in range(6)]
    return -math.fsum(
        alpha * math.exp(-sum(a * (x - p) ** 2 for a, x, p in zip(row, point, center, strict=True)))
        for alpha, row, center in zip(_HARTMANN_ALPHA, _HARTMANN_A, _HARTMANN_P, strict=True)
    )


def mixed(params: Params) -> float:
    """A loss like a training's: each optimizer has a learning rate of its own that suits it."""
    suits, behind = {"sgd": (-1.0, 0.15), "adam": (-3.0, 0.0), "rmsprop": (-3.5, 0.05)}[
        params["optimizer"]
    ]
    rate = math.log10(params["lr"]) - suits - 0.05 * (params["layers"] - 6)
    decay = math.log10(params["decay"]) + 4.0
    return float(
        behind
        + 1.0
        - math.exp(-((rate / 1.2) ** 2))
        + 0.02 * decay**2
        + 0.01 * (params["layers"] - 6) ** 2
    )


def _key(params: Params) -> str:
    return json.dumps([params[name] for name in _TABLE])


def write_table(path: Path) -> None:
    """Fit support vector regressions to scikit-learn's diabetes data for each combination."""
    from sklearn.datasets import load_diabetes
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVR

    inputs, targets = load_diabetes(return_X_y=True)
    inputs = StandardScaler().fit_transform(inputs)
    half = len(targets) // 2
    found = {}
    for values in product(*_TABLE.values()):
        params = dict(zip(_TABLE, values, strict=True))
        # A fit that does not converge is cut off; its result is the one by then.
        model = SVR(max_iter=20_000, **params).fit(inputs[:half], targets[:half])
        errors = model.predict(inputs[half:]) - targets[half:]
        found[_key(params)] = min(float((errors**2).mean() ** 0.5), 1000.0)
    path.write_text(json.dumps(found))


if __name__ == "__main__":
    write_table(Path(sys.argv[1]))
