"""Items of arrays as Python objects.

`tolist` of numpy returns plain integers for moments and durations that are finer than microseconds,
as those of pandas are, and tuples without names for records.
"""

import sys
from typing import Any, Final

_FINE: Final = frozenset(("ns", "ps", "fs", "as"))
"""Units of numpy in which `tolist` returns integers."""
_OF_ANOTHER_PACKAGE: Final = 2
_TENSORS: Final = frozenset(("jax", "jaxlib", "tensorflow"))
"""Packages whose tensors numpy can read. Those of torch are counted on their own device."""


def as_numpy(value: Any) -> Any:
    """Return a tensor of jax or tensorflow as an array of numpy; other values unchanged."""
    package = type(value).__module__.partition(".")[0]
    numpy = sys.modules.get("numpy")
    if numpy is None or package not in _TENSORS or not hasattr(value, "__array__"):
        return value
    try:
        return numpy.asarray(value)
    except Exception:  # A key of jax, a part of a graph: its text is kept.
        return value


def has_numbers(array: Any) -> bool:
    """Whether an array of numpy has real numbers, also in the small types of ml_dtypes."""
    dtype = array.dtype
    return dtype.kind in "biuf" or (dtype.kind == "V" and dtype.isbuiltin == _OF_ANOTHER_PACKAGE)


def array_items(value: Any, *, cuts: bool = False) -> Any:
    """Return the items of an array, tensor or Series as Python objects, nested as they are.

    Moments are dates, datetimes, or texts in ISO 8601 where they are finer than microseconds;
    fine durations are numbers of seconds; records are dicts.

    Args:
        cuts: fine moments are cut to microseconds, so that all are datetimes.
    """
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.ndarray | numpy.generic):
        return value.tolist()
    if value.dtype.names:
        return _records(value, cuts=cuts)
    if value.dtype.kind not in "mM" or numpy.datetime_data(value.dtype)[0] not in _FINE:
        return value.tolist()
    if isinstance(value, numpy.ma.MaskedArray):
        return value.astype(f"{value.dtype.kind}8[us]").tolist()
    if value.dtype.kind == "m":
        seconds = value / numpy.timedelta64(1, "s")
        return numpy.where(numpy.isnat(value), None, seconds).tolist()
    coarse = value.astype("datetime64[us]")
    is_gone = numpy.isnat(value)
    if cuts or bool(((coarse == value) | is_gone).all()):
        return coarse.tolist()
    texts = numpy.datetime_as_string(value)
    return numpy.where(is_gone, None, numpy.asarray(texts, dtype=object)).tolist()


def _records(value: Any, *, cuts: bool) -> Any:
    """Return the records of a structured array as dicts, in lists as they are nested."""
    if value.ndim > 1:
        return [_records(each, cuts=cuts) for each in value]
    fields = [array_items(value[name], cuts=cuts) for name in value.dtype.names]
    if value.ndim == 0:
        return dict(zip(value.dtype.names, fields, strict=True))
    return [dict(zip(value.dtype.names, row, strict=True)) for row in zip(*fields, strict=True)]
