"""One histogram of an event as the values of its row in `histograms`, and back. No I/O here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stepwell_store.attributes import INT64_MAX, to_json
from stepwell_wire.limits import HISTOGRAM_BINS_MAX

_NON_FINITE: Final = ("nan_count", "positive_inf_count", "negative_inf_count")


@dataclass(frozen=True, slots=True)
class StoredHistogram:
    """Counts between edges.

    Attributes:
        counts: shape (bins,), 0 or more.
        edges: shape (bins + 1,), ascending, not strictly: if all values are equal, there is one bin
            without width.
    """

    counts: NDArray[np.float64]
    edges: NDArray[np.float64]
    nan_count: int
    positive_inf_count: int
    negative_inf_count: int

    @property
    def low(self) -> float:
        return float(self.edges[0])

    @property
    def high(self) -> float:
        return float(self.edges[-1])

    def as_value(self) -> dict[str, Any]:
        """Return it as in histories and exports: `_type`, `values`, `bins`, non-finite counts."""
        counts = [int(each) if each.is_integer() else each for each in self.counts.tolist()]
        non_finite = {name: count for name in _NON_FINITE if (count := getattr(self, name))}
        return {"_type": "histogram", "values": counts, "bins": self.edges.tolist(), **non_finite}


def row_values(body: Mapping[str, Any]) -> tuple[float, float, str, str, int, int, int]:
    """Return ``low, high, edges, counts`` and three non-finite counts of an event's histogram.

    Raises:
        TypeError, ValueError, LookupError: It is not a histogram.
    """
    counts = np.array(body["counts"], dtype=np.float64)
    _check(counts.ndim == 1 and 1 <= len(counts) <= HISTOGRAM_BINS_MAX)
    _check(bool(np.isfinite(counts).all() and (counts >= 0).all()))
    edges = body.get("edges")
    if edges is None:
        low, high, text = float(body["low"]), float(body["high"]), ""
    else:
        given = np.array(edges, dtype=np.float64)
        _check(given.shape == (len(counts) + 1,) and bool((np.diff(given) >= 0).all()))
        low, high, text = float(given[0]), float(given[-1]), to_json(given.tolist())
    _check(bool(np.isfinite([low, high]).all()) and low <= high)
    nan, positive, negative = (
        min(max(int(body.get(name) or 0), 0), INT64_MAX) for name in _NON_FINITE
    )
    return low, high, text, to_json(body["counts"]), nan, positive, negative


def from_row(row: Mapping[str, Any]) -> StoredHistogram:
    """Return the histogram of a row of the table."""
    counts = np.array(json.loads(row["counts"]), dtype=np.float64)
    edges = (
        np.array(json.loads(row["edges"]), dtype=np.float64)
        if row["edges"]
        else np.linspace(row["low"], row["high"], len(counts) + 1)
    )
    return StoredHistogram(counts, edges, *(int(row[name]) for name in _NON_FINITE))


def _check(holds: bool) -> None:
    if not holds:
        raise ValueError("not a histogram: expected ascending edges, and counts of 0 or more")
