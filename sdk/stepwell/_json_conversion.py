"""How a value becomes one of None, bool, int, float, text, list and dict; see `_json_values`.

Nothing here raises for a value: each one, also inside lists and dicts, is converted under a guard
of its own, and one that fails becomes a text that says so.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence, Set, Sized
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from stepwell._array_items import array_items, as_numpy
from stepwell._fields import Unreadable, fields_of, items_of
from stepwell._frames import column_values, is_column
from stepwell._later import warn_unavailable
from stepwell._names import (
    TEXT_CHARACTERS_MAX,
    Warn,
    cut_text,
    inside_itself,
    kind_of,
    text_of,
    valid_text,
)
from stepwell._points import as_point, size_of
from stepwell._row_labels import is_labelled, is_series, values_by_label
from stepwell_wire.limits import EVENT_BYTES_MAX, VALUE_DEPTH_MAX

if TYPE_CHECKING:
    from stepwell._staging import Stage

REPR_CHARACTERS_MAX: Final = 1000
VALUE_ITEMS_MAX: Final = 100_000
VALUE_BYTES_MAX: Final = 2 * 1024 * 1024
_NUMBER_BYTES: Final = 9  # In msgpack, at most.
_NONE_INSIDE: Final = object()
_OF_MEDIA: Final = frozenset(
    ("PIL", "matplotlib", "pandas", "plotly", "polars", "pyarrow", "sklearn")
)
"""Packages some of whose objects are kept as media."""

MakeMedia = Callable[[Any, "Stage | None"], Any]
"""Makes media of an object of another package; None where it is none."""

assert VALUE_BYTES_MAX + 64 * 1024 < EVENT_BYTES_MAX


class Conversion:
    """The conversion of one value: its remaining limits, and the receiver of warnings.

    Args:
        name: name of the value, for warnings; "" for a cell of a table.
        make_media: see `MakeMedia`; None if no media are made.
        lists_by_path: whether media in a dict are listed by their paths; in a list they are not.

    Attributes:
        media: the kinds of the converted media.
        blobs: the ids of their bytes.
    """

    def __init__(
        self,
        warn: Warn,
        stage: "Stage | None" = None,
        *,
        name: str = "",
        make_media: MakeMedia | None = None,
        lists_by_path: bool = False,
    ) -> None:
        self._warn, self._stage, self._name = warn, stage, name
        self._make_media = make_media
        self._lists_by_path = lists_by_path
        self._lists = 0  # Around the value that is being converted.
        self.media: list[str] = []
        self.blobs: set[str] = set()
        self._items_left = VALUE_ITEMS_MAX
        self._bytes_left = VALUE_BYTES_MAX
        self._within: set[int] = set()  # `id` of each object that is being converted.

    def convert(self, value: Any, depth: int = 0) -> Any:
        self._spend(_NUMBER_BYTES)
        try:
            return self._convert(value, depth)
        except Exception as error:  # Reading an object of any class may raise.
            return self._unreadable(Unreadable(error))

    def _convert(self, value: Any, depth: int) -> Any:
        if value is None or value is True or value is False:
            return value
        if _is_enum(value):
            return self._text(str(value.name))
        if isinstance(value, float):
            return float.__float__(value)
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, int):
            return self._integer(int.__int__(value))
        if isinstance(value, Unreadable):
            return self._unreadable(value)
        if (media := self._media(value)) is not None:
            if not media.is_kept:
                warn_unavailable("media", f"{type(media).__name__}()", self._warn)
            return self._medium(media)
        if id(value) in self._within:
            return self._text(inside_itself(value))
        self._within.add(id(value))
        try:
            made = self._inside(value, depth) if depth < VALUE_DEPTH_MAX else _NONE_INSIDE
        finally:
            self._within.discard(id(value))
        return self._leaf(value) if made is _NONE_INSIDE else made

    def _media(self, value: Any) -> Any:
        """Return ``value`` as one of our media; None for other values."""
        media = sys.modules.get("stepwell._media")  # Imported if there is an image of ours.
        if media is not None and isinstance(value, media.Media):
            return value
        where = value.__name__ if isinstance(value, ModuleType) else type(value).__module__
        if self._make_media is None or where.partition(".")[0] not in _OF_MEDIA:
            return None
        return self._make_media(value, self._stage)

    def _medium(self, media: Any) -> dict[str, Any]:
        """Return the value of ``media`` for the history; a warning names lost bytes."""
        described = dict(media.described(self._stage, self._warn))
        self.media.append(type(media).__name__)
        if isinstance(blob_id := described.get("blob"), str):
            self.blobs.add(blob_id)
        if self._stage is not None and (why := described.get("failed")):
            where = repr(self._name) if self._name else "a cell of a table"
            self._warn(
                f"media of {self._name}",
                f"{where}: the {type(media).__name__} was not stored and its row is marked "
                f"as failed; training continues: {why}",
            )
        return described

    def _inside(self, value: Any, depth: int) -> Any:
        """Return the conversion of a container; ``_NONE_INSIDE`` for other values."""
        fields = fields_of(value)
        if fields is not None:
            return self._mapping(fields, depth)
        if isinstance(value, bytes | bytearray | memoryview | type):
            return _NONE_INSIDE
        if isinstance(value, list | tuple | Sequence):
            return self._list(value, depth)
        if isinstance(value, Set):
            # Sorted: the order of a set differs between processes.
            return _in_order(self._list(value, depth))
        value = as_numpy(value)
        is_array = hasattr(value, "tolist") or is_column(value)
        return self._array(value, depth) if is_array else _NONE_INSIDE

    def _array(self, value: Any, depth: int) -> Any:
        count = size_of(value)
        if count > max(self._items_left, 1):
            self._say_cut(f"an array of {count} values is kept as a short text")
            return _NONE_INSIDE
        if is_series(value) and is_labelled(value):
            return self.convert(values_by_label(value), depth + 1)
        try:
            items = column_values(value) if is_column(value) else array_items(value)
        except Exception:  # A tensor without data, for example; it is described.
            return _NONE_INSIDE
        return self.convert(items, depth + 1)

    def _leaf(self, value: Any) -> Any:
        if _is_missing(value):
            return None
        datetime = sys.modules.get("datetime")  # Imported if there is a moment.
        if datetime is not None and isinstance(value, datetime.date | datetime.time):
            return self._text(str(value.isoformat()))
        if isinstance(value, os.PathLike):
            return self._text(os.fsdecode(value))
        if isinstance(value, bytes | bytearray | memoryview):
            return self._text(_text_of_bytes(bytes(value)))
        number = as_point(value)
        if number is not None:
            return number
        name = getattr(value, "__qualname__", None)
        if callable(value) and isinstance(name, str):  # A class, a function.
            module = getattr(value, "__module__", None)
            return self._text(name if module in (None, "builtins") else f"{module}.{name}")
        return self._described(value)

    def _integer(self, value: int) -> Any:
        if -(2**63) <= value < 2**64:
            return value
        try:
            return self._text(str(value))
        except ValueError:  # Beyond sys.get_int_max_str_digits(); hexadecimal has no such limit.
            return self._text(hex(value))

    def _text(self, text: str) -> str:
        length = str.__len__(text)
        if length > TEXT_CHARACTERS_MAX:
            self._say_cut(
                f"a text of {length} characters is cut to its first {TEXT_CHARACTERS_MAX}"
            )
        packed = cut_text(text).encode()
        if len(packed) > self._bytes_left:
            self._say_cut(f"texts beyond {VALUE_BYTES_MAX} bytes are cut")
            packed = packed[: max(0, self._bytes_left)] + b"\xe2\x80\xa6"
        self._bytes_left -= len(packed)
        return packed.decode("utf-8", "ignore")

    def _unreadable(self, value: Unreadable) -> str:
        self._warn(
            f"unreadable {value.kind}",
            f"a value of {self._name!r} is kept as the text {value.text}",
        )
        return self._text(value.text)

    def _mapping(self, fields: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        is_described = isinstance(fields.get("_type"), str)  # Converted before: a medium or a list.
        for key, item in fields.items():
            if self._is_full:
                self._say_cut(f"of {len(fields)} names only {len(found)} are kept")
                found["…"] = f"{len(fields)} names"
                break
            name = self._text(text_of(key))
            if name in found:  # 1 and "1"
                name = f"{name} ({kind_of(key)})"
            if is_described and name == "items" and isinstance(item, list):
                self._spend(_NUMBER_BYTES)
                found[name] = self._each(item, item, depth + 1)
            else:
                found[name] = self.convert(item, depth + 1)
        is_unlisted = self._stage is not None and (self._lists > 0 or not self._lists_by_path)
        if is_unlisted and self._name and any(map(is_medium, found.values())):
            self._warn(
                f"media inside {self._name}",
                f"{self._name!r} has media inside a dict of a list; they are stored, but the page "
                "and Run.files() do not list them. Log them as values or lists of media, or as "
                "cells of a Table",
            )
        return found

    def _list(self, value: Iterable[Any], depth: int) -> Any:
        items = items_of(value, max(self._items_left, 0) + 1)
        if (numbers := self._plain_numbers(items)) is not None:
            return numbers
        first = next((each for each in items if each is not None), None)
        if first is not None and self._media(first) is not None:
            items = [each if (made := self._media(each)) is None else made for each in items]
        kept = self._each(value, items, depth)
        list_type = _list_type(items)
        if not list_type and _are_media(kept):
            list_type = _MIXED_LIST
        if not list_type and self._stage is not None and self._name and any(map(is_medium, kept)):
            self._warn(
                f"media beside {self._name}",
                f"{self._name!r} has media beside other values in a list; they are stored, but the "
                "page and Run.files() do not list them. Log them as values or lists of media, or "
                "as cells of a Table",
            )
        return {"_type": list_type, "count": len(kept), "items": kept} if list_type else kept

    def _each(self, value: Iterable[Any], items: Sequence[Any], depth: int) -> list[Any]:
        """Return the conversions of ``items``, which are those of ``value``."""
        kept: list[Any] = []
        self._lists += 1
        for item in items:
            if self._is_full:
                count = len(value) if isinstance(value, Sized) else len(items)
                self._say_cut(f"of {count} items only the first {len(kept)} are kept")
                kept.append(f"… ({count} items)")
                break
            kept.append(self.convert(item, depth + 1))
        self._lists -= 1
        return kept

    def _plain_numbers(self, items: list[Any]) -> list[Any] | None:
        """Return a list of plain numbers as it is, else None; no Python step for each item."""
        if not items or not _NUMBERS.issuperset(map(type, items)):
            return None
        if len(items) > self._items_left or len(items) * _NUMBER_BYTES > self._bytes_left:
            return None
        finite = [each for each in items if type(each) is int]
        if finite and not -(2**63) <= min(finite) <= max(finite) < 2**64:
            return None
        self._items_left -= len(items)
        self._bytes_left -= len(items) * _NUMBER_BYTES
        return items

    def _described(self, value: Any) -> str:
        describe = str if _has_text(value) else repr
        text = text_of(value, describe) or text_of(value, repr)
        if not _is_known_by_text(value):
            self._say_text(value, describe)
        return self._text(text[:REPR_CHARACTERS_MAX])

    def _say_text(self, value: Any, describe: Callable[[Any], str]) -> None:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        what = f"{valid_text(self._name)[:100]!r}: a {kind}" if self._name else f"a {kind}"
        self._warn(
            f"type {kind}",
            f"{what} is not a number or a JSON-like value; its {describe.__name__} is kept as text"
            f"{_way_out(type(value))}",
        )

    @property
    def _is_full(self) -> bool:
        return self._items_left <= 0 or self._bytes_left <= 0

    def _spend(self, byte_count: int) -> None:
        self._items_left -= 1
        self._bytes_left -= byte_count

    def _say_cut(self, what: str) -> None:
        of = f" {valid_text(self._name)[:100]!r}" if self._name else ""
        self._warn(
            f"cut {self._name}",
            f"the value{of} is too large: {what}; use a Table for more, or a Histogram or an "
            "array in log() for numbers",
        )


_OF_FILES: Final = frozenset(("blob", "failed", "items"))
_MISSING: Final = frozenset(("NAType", "NaTType"))
_KNOWN_BY_TEXT: Final = {
    "ipaddress": frozenset(("IPv4Address", "IPv6Address", "IPv4Network", "IPv6Network")),
    "numpy": frozenset(("dtype",)),
    "pandas": frozenset(("Interval", "Period")),
    "torch": frozenset(("device", "dtype")),
    "uuid": frozenset(("UUID",)),
}
"""Classes, by the first part of their module, whose text says all."""
_MIXED_LIST: Final = "media"
_NUMBERS: Final = frozenset((float, int, bool, type(None)))


def _way_out(kind: type) -> str:
    """Return the end of a sentence that says how an object of another package can be logged."""
    if kind.__name__ == "DataFrame":
        return "; log() keeps a DataFrame of pandas or polars as a table"
    if any("to_html" in vars(each) for each in kind.__mro__):
        return "; to log what it shows, use Html(value.to_html())"
    return ""


def _is_enum(value: Any) -> bool:
    enum = sys.modules.get("enum")  # Imported if there is a member of an Enum.
    return enum is not None and isinstance(value, enum.Enum)


def _is_missing(value: Any) -> bool:
    """Whether it is what pandas has for no value, of numbers or of moments."""
    kind = type(value)
    return kind.__name__ in _MISSING and kind.__module__.partition(".")[0] == "pandas"


def _has_text(value: Any) -> bool:
    """Whether the class has a text for people, which is not that of an exception: "'x'"."""
    own = any("__str__" in vars(each) for each in type(value).__mro__[:-1])
    return own and not isinstance(value, BaseException)


def _is_known_by_text(value: Any) -> bool:
    return any(
        each.__name__ in _KNOWN_BY_TEXT.get(each.__module__.partition(".")[0], ())
        for each in type(value).__mro__
    )


def _text_of_bytes(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return repr(value)


def _in_order(kept: Any) -> Any:
    if not isinstance(kept, list):
        return kept
    try:
        return sorted(kept)
    except TypeError:  # Of several kinds.
        return sorted(kept, key=lambda each: (type(each).__name__, repr(each)))


def is_medium(kept: Any) -> bool:
    """Whether a converted value describes one of our media, or a list of them."""
    return isinstance(kept, dict) and "_type" in kept and not _OF_FILES.isdisjoint(kept)


def _are_media(kept: Sequence[Any]) -> bool:
    """Whether a converted list has only media, lists of media, and None."""
    return any(map(is_medium, kept)) and all(each is None or is_medium(each) for each in kept)


def _list_type(items: Sequence[Any]) -> str:
    """Return the type of a list of media of one kind, "" for any other list."""
    kinds = {type(item) for item in items}
    return str(getattr(kinds.pop(), "list_type", "")) if len(kinds) == 1 else ""
