"""Computes derived tables again, for series whose rows they may count twice."""

from collections.abc import Sequence
from typing import Final

from stepwell_store.fill import (
    node_rollups_of_series,
    rollups_of_series,
    statistics_by_run_of_series,
)
from stepwell_store.store import Store
from stepwell_store.tables import NODE_ROLLUPS, ROLLUPS, SERIES_STATS_BY_RUN

_SERIES_AT_ONCE: Final = 5000


_SERIES: Final = "series IN {series:Array(UInt64)}"


def recompute(store: Store, series: Sequence[int]) -> None:
    """Compute the rollups of ``series`` and the second order of their statistics again.

    It can be repeated. Meanwhile readers may miss some rows. No other process may store points of
    these series.

    Raises:
        StoreError: Some may be missing now; repeat it.
    """
    for start in range(0, len(series), _SERIES_AT_ONCE):
        part = series[start : start + _SERIES_AT_ONCE]
        store.delete_rows(ROLLUPS.name, _SERIES, {"series": part})
        store.fill(rollups_of_series(part))
        store.delete_rows(SERIES_STATS_BY_RUN.name, _SERIES, {"series": part})
        store.fill(statistics_by_run_of_series(part))


def recompute_nodes(store: Store, series: Sequence[int]) -> None:
    """Compute the rollups of the nodes' ``series`` again, in the same way.

    Raises:
        StoreError: Some may be missing now; repeat it.
    """
    for start in range(0, len(series), _SERIES_AT_ONCE):
        part = series[start : start + _SERIES_AT_ONCE]
        store.delete_rows(NODE_ROLLUPS.name, _SERIES, {"series": part})
        store.fill(node_rollups_of_series(part))
