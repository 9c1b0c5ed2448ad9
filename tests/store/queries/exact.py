"""Buckets computed the slow and obvious way, point by point, to compare with."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from stepwell_store.queries import Series


@dataclass(frozen=True)
class Point:
    step: int
    time: int
    value: float
    label: str = ""


def expected(points: Iterable[tuple[float, Point]], level: int) -> dict[int, dict[str, float]]:
    """Return what each bucket of ``points``, each with its x, must hold.

    The points of one label are a series. Of several with a point at the first step, or at the
    last one, the mean counts.
    """
    cut: dict[int, list[tuple[float, Point]]] = defaultdict(list)
    for x, point in points:
        cut[math.floor(x / 2.0**level)].append((x, point))
    return {number: _bucket(held) for number, held in cut.items()}


def _bucket(held: list[tuple[float, Point]]) -> dict[str, float]:
    ordered = sorted(held, key=lambda each: (each[0], each[1].step, each[1].time))
    values = [point.value for _, point in ordered]
    finite = [value for value in values if math.isfinite(value)]
    return {
        "count": len(values),
        "nan_count": sum(map(math.isnan, values)),
        "positive_inf_count": values.count(math.inf),
        "negative_inf_count": values.count(-math.inf),
        "min": min(finite, default=math.nan),
        "max": max(finite, default=math.nan),
        "mean": math.fsum(finite) / len(finite) if finite else math.nan,
        "first": _of_labels(ordered, ordered[0]),
        "last": _of_labels(ordered[::-1], ordered[-1]),
        "first_x": ordered[0][0],
        "last_x": ordered[-1][0],
    }


def _of_labels(held: list[tuple[float, Point]], end: tuple[float, Point]) -> float:
    """Return the mean of each label's value at the x and step of ``end``; the finite ones count."""
    of_label: dict[str, float] = {}
    for x, point in held:
        if (x, point.step) == (end[0], end[1].step):
            of_label.setdefault(point.label, point.value)
    values = list(of_label.values())
    chosen = [value for value in values if math.isfinite(value)] or values
    return sum(chosen) / len(chosen)


def assert_equal(series: Series, wanted: dict[int, dict[str, float]]) -> None:
    """Compare every array of ``series`` with the buckets that are expected."""
    numbers = sorted(wanted)
    assert series.bucket.tolist() == numbers
    for name in wanted[numbers[0]]:
        column = [wanted[number][name] for number in numbers]
        np.testing.assert_allclose(
            getattr(series, name), column, rtol=1e-9, atol=1e-9, err_msg=name
        )
