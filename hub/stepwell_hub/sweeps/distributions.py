"""Distributions of a sweep's parameters.

Each maps a place in [0, 1] to a value (`value_at`) and back (`place_of`). A uniform place gives the
distribution; the search by model works on places, so it searches every distribution the same way.
"""

import json
import math
import random
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from statistics import NormalDist
from typing import Any, Final, Literal, Protocol

GRID_VALUES_MAX: Final = 100_000
"""Values of one parameter in a grid."""
# Places at the very ends have no value where a distribution has no bounds.
_PLACE_MIN: Final = 1e-12
_STANDARD: Final = NormalDist()

Shape = Literal["uniform", "log", "inv_log", "normal", "log_normal", "beta"]


class Distribution(Protocol):
    """What one parameter may be."""

    def draw(self, source: random.Random) -> Any:
        """Return an independent value."""
        ...

    def grid(self) -> list[Any] | None:
        """Return all values in their order, None where a grid of them is not allowed."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    value: Any

    def draw(self, source: random.Random) -> Any:
        return self.value

    def grid(self) -> list[Any]:
        return [self.value]


@dataclass(frozen=True, slots=True)
class Categorical:
    """``weights`` are empty where all values are equally probable."""

    values: tuple[Any, ...]
    weights: tuple[float, ...] = ()

    def draw(self, source: random.Random) -> Any:
        if not self.weights:
            return self.values[source.randrange(len(self.values))]
        return source.choices(self.values, self.weights)[0]

    def grid(self) -> list[Any] | None:
        if self.weights:
            return None
        # Compared by their JSON: 1, 1.0 and true are three values.
        return list({json.dumps(each, sort_keys=True): each for each in self.values}.values())

    def place_of(self, value: Any) -> int:
        """Return the number of ``value``; 1 and true are not the same.

        Raises:
            ValueError: ``value`` is not one of the values.
        """
        texts = [json.dumps(each, sort_keys=True) for each in self.values]
        return texts.index(json.dumps(value, sort_keys=True))


@dataclass(frozen=True, slots=True)
class Integers:
    """``int_uniform``: integers from ``low`` to ``high``, both included."""

    low: int
    high: int

    def draw(self, source: random.Random) -> int:
        return source.randint(self.low, self.high)

    def grid(self) -> list[Any] | None:
        return list(range(self.low, self.high + 1))


@dataclass(frozen=True, slots=True)
class Continuous:
    """A continuous shape, rounded to multiples of ``q`` where that is given.

    Attributes:
        first, second: bounds of ``uniform``; of ``log`` as exponents of e, of ``inv_log`` as
            exponents of 1/e; ``mu`` and ``sigma`` of ``normal`` and ``log_normal``; ``a`` and
            ``b`` of ``beta``.
    """

    shape: Shape
    first: float
    second: float
    q: float | None = None

    def draw(self, source: random.Random) -> float | int:
        if self.shape == "beta":
            return self._rounded(source.betavariate(self.first, self.second))
        return self.value_at(source.random())

    def grid(self) -> list[Any] | None:
        if self.shape != "uniform" or self.q is None:
            return None
        # From the lower bound by steps of q; the upper bound too, where a step meets it.
        low, step = Decimal(repr(self.first)), Decimal(repr(self.q))
        count = int((Decimal(repr(self.second)) - low) / step) + 1
        values = [low + number * step for number in range(count)]
        is_whole = isinstance(self.q, int) and low == int(low)
        return [int(each) if is_whole else float(each) for each in values]

    def value_at(self, place: float) -> float | int:
        """Return the value at a place; for ``beta`` the place is the value."""
        return self._rounded(self._exact(place))

    def _exact(self, place: float) -> float:
        low, high = self.first, self.second
        match self.shape:
            case "uniform":
                return min(max(low * (1 - place) + high * place, low), high)
            case "log":
                return _within_exp(low * (1 - place) + high * place, low, high)
            case "inv_log":
                return math.exp(-min(max(low * (1 - place) + high * place, low), high))
            case "beta":
                return place
        inner = min(max(place, _PLACE_MIN), 1 - _PLACE_MIN)
        value = low + high * _STANDARD.inv_cdf(inner)
        return value if self.shape == "normal" else math.exp(min(value, 700.0))

    def place_of(self, value: float) -> float:
        """Return the place of a value; if it was rounded beyond a bound, the bound's place."""
        low, high = self.first, self.second
        match self.shape:
            case "uniform":
                place = (value - low) / (high - low) if high > low else 0.0
            case "log":
                place = (_log(value) - low) / (high - low) if high > low else 0.0
            case "inv_log":
                place = (-_log(value) - low) / (high - low) if high > low else 0.0
            case "beta":
                place = value
            case "normal":
                place = _STANDARD.cdf((value - low) / high)
            case "log_normal":
                place = _STANDARD.cdf((_log(value) - low) / high)
        return min(max(place, 0.0), 1.0)

    def _rounded(self, value: float) -> float | int:
        return value if self.q is None else _times(_multiple(value, self.q), self.q)


def _within_exp(exponent: float, low: float, high: float) -> float:
    return math.exp(min(max(exponent, low), high))


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _multiple(value: float, q: float) -> int:
    exact = Decimal(repr(value)) / Decimal(repr(q))
    return int(exact.to_integral_value(rounding=ROUND_HALF_EVEN))


def _times(number: int, q: float) -> float | int:
    """Return a multiple of ``q`` without the noise of binary fractions; an int if ``q`` is one."""
    value = number * Decimal(repr(q))
    return int(value) if isinstance(q, int) else float(value)
