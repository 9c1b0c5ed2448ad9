"""Which values are points: one number each."""

import sys
import warnings
from functools import cache
from math import nan
from typing import Any


def as_point(value: Any) -> float | None:
    """Return ``value`` as a float64, or None when it is no number of one value.

    A duration is a number of seconds; a complex number and a moment are no points.
    """
    if value is None or isinstance(value, str | bytes | bytearray | complex):
        return None
    try:
        return _as_point(value)
    except Exception:  # Any __float__ may raise: the value is kept in another form.
        return None


def _as_point(value: Any) -> float | None:
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind in ("c", "M"):  # A moment has no float: that of numpy depends on its unit.
        return None
    if kind == "m" or _is_duration(value):
        return _seconds_of(value)
    if not hasattr(type(value), "__float__") and not hasattr(type(value), "__index__"):
        return None
    if getattr(value, "ndim", 0):
        # An array of one value is a number; numpy deprecates float() of it.
        if size_of(value) != 1:
            return None
        value = value.reshape(-1)[0]
    if type(value).__module__.startswith("numpy.ma") and bool(value.mask):
        return nan  # As numpy's float of it, without its warning.
    if getattr(value, "requires_grad", False) is True:
        _let_torch_warn()
    return float.__float__(float(value))


@cache
def _let_torch_warn() -> None:
    """Let torch's only warning about a number from a tensor with a gradient come unseen.

    `log` reads such a number without harm, and its fast path cannot detach the tensor.
    """
    torch = sys.modules.get("torch")
    if torch is None:  # Another kind of tensor.
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        float(torch.zeros((), requires_grad=True))


def size_of(value: Any) -> int:
    """Return how many values an array or tensor holds; a large number when it does not say."""
    try:
        if hasattr(value, "numel"):
            size = value.numel()
        else:
            size = value.size if hasattr(value, "size") else len(value)
        return int(size() if callable(size) else size)
    except Exception:
        return 2**31


def _is_duration(value: Any) -> bool:
    datetime = sys.modules.get("datetime")  # Imported if there is a timedelta.
    return datetime is not None and isinstance(value, datetime.timedelta)


def _seconds_of(value: Any) -> float | None:
    if hasattr(value, "dtype"):  # numpy's; in nanoseconds `tolist` would give an integer.
        if size_of(value) != 1:
            return None
        value = value.astype("timedelta64[us]").reshape(-1)[0].tolist()
    return None if value is None else float(value.total_seconds())
