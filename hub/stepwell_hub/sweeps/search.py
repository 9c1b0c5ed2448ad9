"""Grid and random search: trial n, from 1, as a pure function of the config, the seed and n."""

import hashlib
import math
import random
from collections.abc import Mapping
from typing import Any

from stepwell_hub.sweeps.config import SweepConfig
from stepwell_hub.sweeps.distributions import Distribution
from stepwell_hub.sweeps.parameters import Path


def grid_count(config: SweepConfig) -> int:
    """Return the number of combinations of a grid."""
    return math.prod(len(values) for values in config.grid.values())


def grid_trial(config: SweepConfig, number: int) -> dict[str, Any] | None:
    """Return combination ``number``, None behind the last. The last parameter varies fastest."""
    rest = number - 1
    chosen: dict[Path, Any] = {}
    for path, values in reversed(config.grid.items()):
        rest, index = divmod(rest, len(values))
        chosen[path] = values[index]
    if rest:
        return None
    return nested({path: chosen[path] for path in config.parameters})


def random_trial(config: SweepConfig, seed: int, number: int) -> dict[str, Any]:
    """Return independent values; each depends on seed, number and the parameter's path alone."""
    return nested(
        {
            path: each.draw(random_source(seed, number, path))
            for path, each in config.parameters.items()
        }
    )


def random_source(seed: int, number: int, path: Path = ()) -> random.Random:
    """Return the source of one value. The same on each machine and each Python."""
    text = repr((seed, number, path)).encode()
    return random.Random(int.from_bytes(hashlib.sha256(text).digest()[:16], "big"))


def nested(values: Mapping[Path, Any]) -> dict[str, Any]:
    """Return values by path as a config has them: an object in an object."""
    found: dict[str, Any] = {}
    for path, value in values.items():
        inner = found
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
        inner[path[-1]] = value
    return found


def flat(params: Mapping[str, Any], parameters: Mapping[Path, Distribution]) -> dict[Path, Any]:
    """Return the values of a trial by path: the inverse of `nested`.

    Raises:
        KeyError: One is missing.
    """
    found: dict[Path, Any] = {}
    for path in parameters:
        value: Any = params
        for name in path:
            value = value[name]
        found[path] = value
    return found
