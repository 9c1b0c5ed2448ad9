"""Hyperband: which running trials are worse at their last band than most trials were there.

An iteration is one logged value of the metric. Values are signed so that less is better.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

_BANDS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperband:
    """``min_iter``, or ``max_iter`` with ``s``."""

    eta: float = 3.0
    is_strict: bool = True
    min_iter: int | None = None
    max_iter: int | None = None
    s: int | None = None

    def bands(self) -> tuple[int, ...]:
        """Return the iterations at which trials are compared, ascending."""
        found: list[int] = []
        if self.min_iter is not None:
            band = float(self.min_iter)
            for _ in range(_BANDS):
                if band > 2**62:  # No run has so many values.
                    break
                found.append(int(band))
                band *= self.eta
            return tuple(found)
        assert self.max_iter is not None
        assert self.s is not None
        band = float(self.max_iter)
        for _ in range(min(self.s, _BANDS)):
            band /= self.eta
            if band < 1:
                break
            found.append(int(band))
        return tuple(sorted(found))


@dataclass(frozen=True, slots=True)
class Progress:
    """A trial, as hyperband uses it.

    Attributes:
        at_bands: its signed values at the bands that it reached.
        best: the least signed value so far, None without one.
    """

    number: int
    is_running: bool
    at_bands: Mapping[int, float]
    best: float | None


def trials_to_stop(hyperband: Hyperband, trials: Iterable[Progress]) -> list[int]:
    """Return the numbers of the running trials that are to be stopped.

    At each band the threshold is the value at index ``int(count / eta)`` of the sorted values of
    all trials that reached it. A value that is not a number counts as the worst.
    """
    all_trials = list(trials)
    thresholds: dict[int, float] = {}
    for band in {band for each in all_trials for band in each.at_bands}:
        values = sorted(
            _comparable(each.at_bands[band]) for each in all_trials if band in each.at_bands
        )
        thresholds[band] = values[int(len(values) / hyperband.eta)]
    found = []
    for each in all_trials:
        if not each.is_running or not each.at_bands:
            continue
        last = max(each.at_bands)
        value = _comparable(each.at_bands[last])
        if not hyperband.is_strict and each.best is not None:
            value = min(value, each.best)
        if value > thresholds[last]:
            found.append(each.number)
    return found


def _comparable(value: float) -> float:
    return math.inf if math.isnan(value) else value
