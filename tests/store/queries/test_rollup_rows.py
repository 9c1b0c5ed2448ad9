"""Rows of a rollup that were stored in several parts are joined as the points behind them say."""

import itertools
import random
from typing import Any

import numpy as np
import pytest

from stepwell_store.queries.rollup_rows import Rows, joined_rows

_WIDTH = 8
Point = tuple[int, int, int, float]  # Series, step, time, value.


def made(dice: random.Random) -> list[Point]:
    return [
        (dice.choice([3, 5, 2**63 + 1]), step, dice.randrange(4), dice.random())
        for step in dice.choices(range(-40, 200), k=dice.randint(1, 150))
    ]


def summed(points: list[Point], width: int) -> dict[tuple[int, int], dict[str, Any]]:
    """Return one row a series and bucket of ``width`` steps."""
    found: dict[tuple[int, int], list[Point]] = {}
    for point in points:
        found.setdefault((point[0], point[1] // width), []).append(point)
    rows = {}
    for key, held in sorted(found.items()):
        first, last = min(held, key=lambda p: p[1:]), max(held, key=lambda p: p[1:])
        values = [value for *_, value in held]
        rows[key] = {
            "points": len(held),
            "total": sum(values),
            "minimum": min(values),
            "maximum": max(values),
            "first_value": first[3],
            "first_x": first[1],
            "first_time": first[2],
            "last_value": last[3],
            "last_x": last[1],
            "last_time": last[2],
        }
    return rows


def stored(parts: list[list[Point]]) -> Rows:
    rows = [
        {"owner": owner, "bucket": bucket, **row}
        for part in parts
        for (owner, bucket), row in summed(part, _WIDTH).items()
    ]
    unsigned = {"owner"}
    return {
        name: np.array([row[name] for row in rows], dtype=np.uint64 if name in unsigned else None)
        for name in rows[0]
    }


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("shift", [0, 1, 2])
@pytest.mark.slow
def test_joined_rows_are_those_of_all_points(seed: int, shift: int) -> None:
    dice = random.Random(seed)
    points = made(dice)
    # A later part may have earlier steps, and a bucket may be in every part.
    cuts = sorted(dice.choices(range(1, len(points) + 1), k=dice.randrange(4)))
    bounds = [0, *cuts, len(points)]
    parts = [points[low:high] for low, high in itertools.pairwise(bounds) if low < high]
    joined = joined_rows(stored(parts), shift)
    expected = summed(points, _WIDTH << shift)
    keys = list(zip(joined["owner"].tolist(), joined["bucket"].tolist(), strict=True))
    assert keys == list(expected)
    for at, key in enumerate(keys):
        for name, value in expected[key].items():
            if not name.endswith("_time"):
                assert joined[name][at] == pytest.approx(value, rel=1e-12), (key, name)
