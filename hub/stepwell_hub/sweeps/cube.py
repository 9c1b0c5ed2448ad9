"""Parameters as points of the unit cube, one place for each parameter that is not constant.

A model sees a point as coordinates. An ordered parameter has one: its place, or an integer's
rank. Categories have one each, so that two different ones are always as far apart. Categories that
are three or more numbers in their order count as ordered.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell_hub.sweeps.config import SweepConfig
from stepwell_hub.sweeps.distributions import Categorical, Constant, Continuous, Integers
from stepwell_hub.sweeps.search import flat, nested

Array = NDArray[np.float64]


class Cube:
    """Places of one sweep's parameters.

    Attributes:
        dimensions: parameters that are searched.
        groups: of each coordinate the parameter that it belongs to.
    """

    def __init__(self, config: SweepConfig) -> None:
        self._parameters = config.parameters
        searched = [each for each in config.parameters.values() if not isinstance(each, Constant)]
        self.dimensions = len(searched)
        # 0: continuous.
        self._sizes = np.array([_size_of(each) for each in searched], dtype=np.int64)
        self._is_ordered = np.array([_is_ordered(each) for each in searched], dtype=bool)
        counts = np.where(self._is_ordered, 1, self._sizes)
        self.groups = np.repeat(np.arange(self.dimensions), counts)

    def point_of(self, params: Mapping[str, Any]) -> list[float]:
        """Return the places of a trial's parameters."""
        values = flat(params, self._parameters)
        found = []
        for path, each in self._parameters.items():
            match each:
                case Categorical():
                    found.append((each.place_of(values[path]) + 0.5) / len(each.values))
                case Integers():
                    found.append((values[path] - each.low + 0.5) / (each.high - each.low + 1))
                case Continuous():
                    found.append(each.place_of(values[path]))
        return found

    def params_at(self, point: Array) -> dict[str, Any]:
        """Return the parameters at places."""
        places = iter(point)
        found = {}
        for path, each in self._parameters.items():
            match each:
                case Constant():
                    found[path] = each.value
                case Categorical():
                    found[path] = each.values[_rank(next(places), len(each.values))]
                case Integers():
                    found[path] = each.low + _rank(next(places), each.high - each.low + 1)
                case Continuous():
                    found[path] = each.value_at(float(next(places)))
        return nested(found)

    def random(self, source: np.random.Generator, count: int) -> Array:
        return self._snapped(source.random((count, self.dimensions)))

    def around(self, source: np.random.Generator, points: Array, count: int, step: float) -> Array:
        """Return ``count`` neighbours of each point: one or a few places are changed."""
        start = np.repeat(points, count, axis=0)
        moves = source.normal(0.0, 1.0, start.shape) * np.maximum(
            step, np.where(self._sizes > 0, 0.8 / np.maximum(self._sizes, 1), 0.0)
        )
        anew = source.random(start.shape) - start
        moves = np.where(self._is_ordered, moves, anew)
        is_moved = source.random(start.shape) < min(0.5, 2.0 / self.dimensions)
        is_moved[np.arange(len(start)), source.integers(self.dimensions, size=len(start))] = True
        moved = np.abs(start + np.where(is_moved, moves, 0.0))  # Mirrored at the bounds.
        return self._snapped(np.clip(1.0 - np.abs(1.0 - moved), 0.0, 1.0))

    def coordinates(self, points: Array) -> Array:
        """Return the input of a model, shape (points, coordinates)."""
        columns = []
        for place, (size, is_ordered) in enumerate(zip(self._sizes, self._is_ordered, strict=True)):
            column = points[:, place]
            if size == 0:
                columns.append(column[:, None])
                continue
            ranks = np.minimum(np.floor(column * size), size - 1)
            if is_ordered:
                columns.append(ranks[:, None] / max(size - 1, 1))
            else:
                columns.append((ranks[:, None] == np.arange(size)) / math.sqrt(2.0))
        return np.hstack(columns)

    def _snapped(self, points: Array) -> Array:
        """Return points with the places of integers and categories in the middle of their steps."""
        sizes = np.maximum(self._sizes, 1)
        middles = (np.minimum(np.floor(points * sizes), sizes - 1) + 0.5) / sizes
        return np.where(self._sizes > 0, middles, points)


def _rank(place: float, size: int) -> int:
    return min(int(place * size), size - 1)


def _size_of(each: Any) -> int:
    match each:
        case Categorical():
            return len(each.values)
        case Integers():
            return each.high - each.low + 1
    return 0


def _is_ordered(each: Any) -> bool:
    if not isinstance(each, Categorical):
        return True
    values = list(each.values)
    if len(values) < 3 or any(
        isinstance(value, bool) or not isinstance(value, int | float) for value in values
    ):
        return False
    return values in (sorted(values), sorted(values, reverse=True))
