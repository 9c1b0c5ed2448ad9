"""Conversion of logged values that are not plain scalars. Called rarely.

Each value becomes a float (a point), a histogram, or something JSON-like that is kept in the
history as it is. No function here raises for any kind of value.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stepwell._array_items import as_numpy
from stepwell._fields import Unreadable, fields_of
from stepwell._json_values import as_json
from stepwell._names import Warn, inside_itself, metric_name, text_of
from stepwell._points import as_point
from stepwell_wire.limits import METRICS_PER_WRITER_MAX, VALUE_DEPTH_MAX

if TYPE_CHECKING:
    from stepwell._staging import Stage

LIST_ARRAY_ITEMS_MAX: Final = 32
"""A numeric array of more values becomes a histogram, as with Weights & Biases."""


class SplitValues(NamedTuple):
    """Logged values by the form in which they are kept, each by metric name.

    Attributes:
        others: values that are kept as they are.
        histograms: in the form of the `histograms` event.
    """

    points: dict[str, float]
    others: dict[str, Any]
    histograms: dict[str, dict[str, Any]]


def split_values(data: Mapping[Any, Any], warn: Warn, stage: "Stage | None" = None) -> SplitValues:
    """Return the values in ``data`` by kind.

    Nested dicts and records are joined with dots. A later key replaces an earlier one of the same
    name, with a warning. A value that contains itself is not followed again. The bytes of media go
    to ``stage``.
    """
    found = SplitValues({}, {}, {})
    _split(data, "", (), found, warn, stage)
    return found


def _split(
    data: Mapping[Any, Any],
    prefix: str,
    within: tuple[int, ...],
    found: SplitValues,
    warn: Warn,
    stage: "Stage | None",
) -> None:
    for key, value in data.items():
        try:
            name = metric_name(prefix, key, warn)
        except (ImportError, OSError) as error:  # A long name needs an import: no descriptor.
            warn("lost name", f"log: values with long names are lost: {text_of(error)}")
            continue
        if sum(map(len, found)) >= METRICS_PER_WRITER_MAX:
            warn(
                "names",
                f"log: more than {METRICS_PER_WRITER_MAX} names in one call, further "
                "values are dropped; log ids as values, not in names",
            )
            return
        if len(within) < VALUE_DEPTH_MAX and (inside := fields_of(value)):
            if id(value) in within:
                found.others[name] = inside_itself(value)
            else:
                _split(inside, name + ".", (*within, id(value)), found, warn, stage)
            continue
        for kind in found:
            if kind.pop(name, None) is not None:
                warn(
                    f"twice {name}",
                    f"two values of one log() have the name {name!r}; the later one is kept",
                )
        try:
            _add(name, value, found, warn, stage)
        except Exception as error:  # Reading an object of any class may raise.
            found.others[name] = as_json(Unreadable(error), warn, name=name)


def _add(name: str, value: Any, found: SplitValues, warn: Warn, stage: "Stage | None") -> None:
    number = as_point(value)
    if number is not None:
        found.points[name] = number
    elif (histogram := _as_histogram(value)) is not None:
        found.histograms[name] = histogram.to_event()
    else:
        found.others[name] = as_json(value, warn, stage, name=name)


def _as_histogram(value: Any) -> Any:
    """Return ``value`` if it is a histogram, or the histogram of a large array; else None."""
    import sys

    histograms = sys.modules.get("stepwell._histogram")  # Imported if there is one.
    if histograms is not None and isinstance(value, histograms.Histogram):
        return value
    value = as_numpy(value)
    if isinstance(value, type) or not hasattr(value, "tolist"):
        return None
    from stepwell._histogram import histogram_of

    return histogram_of(value, LIST_ARRAY_ITEMS_MAX)
