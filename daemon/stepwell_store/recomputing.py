"""Rollups made anew from points: for a run whose rollups cannot be what its points say."""

from collections.abc import Sequence
from typing import Final

from stepwell_store.fill import rollups_of_series
from stepwell_store.store import Store
from stepwell_store.tables import ROLLUPS

_SERIES_AT_ONCE: Final = 5000


def recompute_rollups(store: Store, series: Sequence[int]) -> None:
    """Replace the rollups of ``series`` by those of their points. Can be repeated.

    Meanwhile readers may miss rollups. No other process may store points of these series.

    Raises:
        StoreError: Some may be missing now; repeat it.
    """
    for start in range(0, len(series), _SERIES_AT_ONCE):
        part = series[start : start + _SERIES_AT_ONCE]
        store.delete_rows(ROLLUPS.name, "series IN {series:Array(UInt64)}", {"series": part})
        store.fill(rollups_of_series(part))
