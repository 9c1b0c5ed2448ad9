"""Points for queries of series."""

import itertools
import math
import random
from collections.abc import Sequence

from stepwell_store import Store
from tests.store.made import (
    START_US,
    build,
    decoded,
    insert,
    rows,
    writer,
)
from tests.store.queries.exact import Point

_extents = itertools.count(1)


ODD = (math.nan, math.inf, -math.inf)


def store_points(
    store: Store, project: str, points: Sequence[Point], metric: str = "loss", run_id: str = "run"
) -> None:
    for label in sorted({point.label for point in points}):
        own = [point for point in points if point.label == label]
        made = rows(
            1,
            [point.step for point in own],
            [point.value for point in own],
            times=[point.time for point in own],
        )
        who = writer(project, run_id, label=label)
        blocks = build((who, decoded([made])), schemas={1: (metric,)})
        insert(store, blocks, f"series-{next(_extents)}")


def made_points(seed: int, count: int, *, steps: int, label: str = "") -> list[Point]:
    """Return points at random steps, some of them repeated, a few of them not finite."""
    chosen = random.Random(seed)
    # No moment twice: which of two points of one step and moment is the later, nothing says.
    moments = [moment * 2 + seed % 2 for moment in chosen.sample(range(steps * 500), count)]
    points = []
    for moment in moments:
        value = chosen.choice(ODD) if chosen.random() < 0.05 else chosen.gauss(0, 1)
        points.append(Point(moment // 1_000, START_US + moment, value, label))
    return points
