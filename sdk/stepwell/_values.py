"""What `log` does with values that are not plain scalars: pure functions, called rarely.

Each value becomes a float (a point), something JSON-like (kept in the history as it is) or the
text of its `repr`. Nothing here raises for a value, whatever it is.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stepwell._later import tell_once
from stepwell_wire.limits import METRIC_NAME_BYTES_MAX, VALUE_DEPTH_MAX

if TYPE_CHECKING:
    from stepwell._staging import Stage

REPR_CHARACTERS_MAX: Final = 1000
TEXT_CHARACTERS_MAX: Final = 256 * 1024
LIST_ITEMS_MAX: Final = 10_000
ARRAY_ITEMS_MAX: Final = 1024
LIST_ARRAY_ITEMS_MAX: Final = 32
"""A numeric array of more values becomes a histogram, as with Weights & Biases."""
VALUE_ITEMS_MAX: Final = 100_000

Warn = Callable[[str, str], None]
"""Takes what makes the warning one of its kind, and its text; prints each kind once."""


class SplitValues(NamedTuple):
    """Logged values by what is kept of them, each by metric name.

    Attributes:
        others: what is kept as it is.
        histograms: as the `histograms` event has them.
    """

    points: dict[str, float]
    others: dict[str, Any]
    histograms: dict[str, dict[str, Any]]


def split_values(data: Mapping[Any, Any], warn: Warn, stage: "Stage | None" = None) -> SplitValues:
    """Return the values in ``data`` by kind.

    Nested dicts are joined with dots. A later key wins over an earlier one of the same name. The
    bytes of media go to ``stage``.
    """
    found = SplitValues({}, {}, {})
    _split(data, "", 0, found, warn, stage)
    return found


def _split(
    data: Mapping[Any, Any],
    prefix: str,
    depth: int,
    found: SplitValues,
    warn: Warn,
    stage: "Stage | None",
) -> None:
    for key, value in data.items():
        name = metric_name(prefix, key, warn)
        if depth < VALUE_DEPTH_MAX and (inside := _read_mapping(value)):
            _split(inside, name + ".", depth + 1, found, warn, stage)
            continue
        for kind in found:
            kind.pop(name, None)
        number = as_point(value)
        if number is not None:
            found.points[name] = number
        elif (histogram := _as_histogram(value)) is not None:
            found.histograms[name] = histogram.to_event()
        else:
            found.others[name] = as_json(value, warn, stage)


def _as_histogram(value: Any) -> Any:
    """Return the histogram that ``value`` is, or that a large array becomes; else None."""
    if hasattr(value, "to_event"):
        return value if _as_media(value) is value else None
    if not hasattr(value, "tolist"):
        return None
    from stepwell._histogram import histogram_of

    return histogram_of(value, LIST_ARRAY_ITEMS_MAX)


def _read_mapping(value: Any) -> dict[Any, Any] | None:
    """Return the items of a mapping; None for what is none, or cannot be read."""
    if not isinstance(value, Mapping):
        return None
    try:
        return dict(value)
    except Exception:  # Anybody's mapping, such as a configuration with a value that is missing.
        return None


def metric_name(prefix: str, key: Any, warn: Warn) -> str:
    """Return the name under which ``key`` is stored."""
    if not isinstance(key, str):
        text: str = _safe(str, key)
        warn(
            "key", f"metric names are strings; {text!r} ({type(key).__name__}) was turned into one"
        )
        key = text
    name: str = prefix + key
    packed = name.encode("utf-8", "replace")
    if len(packed) <= METRIC_NAME_BYTES_MAX:
        return packed.decode("utf-8")  # Without lone surrogates, which cannot be sent or stored.
    warn(
        "long key",
        f"metric name of {len(packed)} bytes cut to {METRIC_NAME_BYTES_MAX}: {name[:40]!r}…",
    )
    return cut_name(packed)


def cut_name(packed: bytes) -> str:
    """Return a name of at most ``METRIC_NAME_BYTES_MAX`` bytes that ends in a hash of the whole."""
    import hashlib

    seal = hashlib.blake2b(packed, digest_size=8).hexdigest()
    room = METRIC_NAME_BYTES_MAX - len(seal) - 1
    return packed[:room].decode("utf-8", "ignore") + "~" + seal


def as_point(value: Any) -> float | None:
    """Return ``value`` as a float64, or None when it is no number of one value."""
    if value is None or isinstance(value, str | bytes | bytearray):
        return None
    if not hasattr(type(value), "__float__") and not hasattr(type(value), "__index__"):
        return None
    if getattr(value, "ndim", 0):
        # An array of one value is a number; float() of it is on its way out in numpy.
        if _size_of(value) != 1:
            return None
        try:
            value = value.reshape(-1)[0]
        except Exception:
            return None
    try:
        return float(value)
    except Exception:  # Anybody's __float__: whatever it raises, the value is kept otherwise.
        return None


def as_json(value: Any, warn: Warn, stage: "Stage | None" = None) -> Any:
    """Return ``value`` in terms of None, bool, int, float, text, list and dict.

    The bytes of media go to ``stage``, and what names them is in their place.
    What is nested deeper than ``VALUE_DEPTH_MAX``, or comes after ``VALUE_ITEMS_MAX`` items, is
    kept as a short text: a value that holds itself many times over would take for ever.
    """
    return _as_json(value, warn, 0, [VALUE_ITEMS_MAX], stage)


def _as_json(
    value: Any, warn: Warn, depth: int, left: list[int], stage: "Stage | None" = None
) -> Any:
    """``left`` holds how many items there may still be."""
    left[0] -= 1
    if left[0] < 0:
        warn("items", f"a value of more than {VALUE_ITEMS_MAX} items is cut there")
        return "…"
    if value is None or isinstance(value, bool | float):
        return value
    if _is_enum(value):
        return str(value.name)
    if isinstance(value, str):
        return cut_text(str(value))
    if isinstance(value, int):
        if -(2**63) <= value < 2**64:
            return int(value)
        try:
            return cut_text(str(int(value)))
        except ValueError:  # Beyond sys.get_int_max_str_digits(); hexadecimal has no such limit.
            return cut_text(hex(value))
    if (media := _as_media(value)) is not None:
        if not media.is_kept:
            tell_once("media", f"{type(media).__name__}()", warn)
        return dict(media.described(stage, warn))
    if depth < VALUE_DEPTH_MAX:
        if (inside := _read_mapping(value)) is not None:
            return {
                cut_text(_safe(str, key)): _as_json(item, warn, depth + 1, left, stage)
                for key, item in _first_of(inside.items(), left)
            }
        if isinstance(value, list | tuple | set | frozenset):
            items = _first_of(value, left)
            if items and _as_media(items[0]) is not None:
                items = [item if (made := _as_media(item)) is None else made for item in items]
            kept = [_as_json(item, warn, depth + 1, left, stage) for item in items]
            if list_type := _list_type(items):
                return {"_type": list_type, "count": len(kept), "items": kept}
            return kept
        if hasattr(value, "tolist") and _size_of(value) <= ARRAY_ITEMS_MAX:
            try:
                return _as_json(value.tolist(), warn, depth + 1, left, stage)
            except Exception:
                return _described(value, warn)
    if type(value).__module__ == "datetime" and hasattr(value, "isoformat"):
        return str(value.isoformat())
    number = as_point(value)
    if number is not None:
        return number
    return _described(value, warn)


def _first_of(items: Iterable[Any], left: list[int]) -> list[Any]:
    """Return those items that may still be, and one more where there are more."""
    return list(items)[: min(LIST_ITEMS_MAX, max(0, left[0]) + 1)]


def cut_text(text: str) -> str:
    """Return ``text`` in valid UTF-8, cut at ``TEXT_CHARACTERS_MAX``."""
    if len(text) > TEXT_CHARACTERS_MAX:
        text = text[:TEXT_CHARACTERS_MAX] + f"… ({len(text)} characters)"
    return text.encode("utf-8", "replace").decode("utf-8")


def _is_enum(value: Any) -> bool:
    enum = sys.modules.get("enum")  # Who has a member of an Enum has imported it.
    return enum is not None and isinstance(value, enum.Enum)


def _described(value: Any, warn: Warn) -> str:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    warn(f"type {kind}", f"a {kind} is no number and nothing JSON-like; its repr is kept as text")
    return cut_text(_safe(repr, value)[:REPR_CHARACTERS_MAX])


def _as_media(value: Any) -> Any:
    """Return ``value`` as one of our media; None for what is none.

    A picture of PIL or a figure of matplotlib is an image.
    """
    media = sys.modules.get("stepwell._media")  # Who has an image of ours has imported it.
    if media is not None and isinstance(value, media.Media):
        return value
    package = type(value).__module__.partition(".")[0]
    if package not in ("PIL", "matplotlib"):
        return None
    from stepwell._image import Image
    from stepwell._pixels import figure_of, is_pil

    try:
        return Image(value) if is_pil(value) or figure_of(value) is value else None
    except Exception:  # Anybody's figure; it is described then.
        return None


def _list_type(items: Sequence[Any]) -> str:
    """Return the type of a list of media of one kind, "" for any other list."""
    kinds = {type(item) for item in items}
    return str(getattr(kinds.pop(), "list_type", "")) if len(kinds) == 1 else ""


def _size_of(value: Any) -> int:
    """Return how many values an array or tensor holds; a large number when it does not say."""
    try:
        size = value.numel() if hasattr(value, "numel") else value.size
        return int(size() if callable(size) else size)
    except Exception:
        return 2**31


def _safe(describe: Callable[[Any], str], value: Any) -> str:
    try:
        return describe(value)
    except Exception as error:  # A broken __repr__ or __str__.
        return f"<{type(value).__name__} whose text cannot be made: {type(error).__name__}>"
