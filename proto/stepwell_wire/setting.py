"""One setting: its default, its allowed values, and how a written value is read.

    project: str = setting("uncategorized", "name of the project")
    flush_seconds: float = setting(0.2, "how often a writer sends", 0.02)

The settings of SDK, daemon and hub are declared like this, and read by the same rules. No slow
import here: a script reads settings before its first `log`.
"""

import math
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

_TRUE: Final = frozenset(("1", "true", "yes", "on"))
_FALSE: Final = frozenset(("", "0", "false", "no", "off"))

_SIZE_WITH_UNIT: Final = re.compile(r"\s*[\d.]+\s*([kmgtp]i?b?|b|bytes)\s*", re.IGNORECASE)


class Setting(NamedTuple):
    """The declaration of one setting.

    Attributes:
        default: its value if it is not set; its type is the setting's type.
        help: a line for people.
        low, high: bounds of a number.
        choices: the allowed words; empty: any.
        convert: makes the value if the default's type is not enough; raises ValueError.
    """

    default: Any
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    convert: Callable[[Any], Any] | None = None

    @property
    def kind(self) -> type:
        return Path if isinstance(self.default, Path) else type(self.default)

    def read(self, value: Any) -> Any:
        """Return the setting's value for ``value``, which is usually a text.

        Raises:
            ValueError: It is invalid; the message has the expected form.
        """
        if self.convert is not None:
            value = self.convert(value)
        elif self.kind is bool:
            value = flag(value)
        elif self.kind is Path:
            value = _path(value)
        elif self.kind is str:
            if not isinstance(value, str) and not self.choices:
                raise ValueError(f"expected text, not {value!r}")
        else:
            value = self._number(value)
        if self.choices and value is not None and value not in self.choices:
            raise ValueError(f"expected one of {', '.join(self.choices)}, not {value!r}")
        return value

    def _number(self, value: Any) -> Any:
        is_whole = self.kind is int
        try:
            if isinstance(value, bool):
                raise ValueError
            number = _whole(value) if is_whole else float(value)
            if not math.isfinite(number):
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            expected = number_kind(value, is_whole=is_whole)
            raise ValueError(f"expected {expected}, not {value!r}") from None
        low, high = self.low, self.high
        if (low is not None and number < low) or (high is not None and number > high):
            lowest = "any" if low is None else _shown(low)
            limits = f"{lowest} or more" if high is None else f"{lowest} to {_shown(high)}"
            raise ValueError(f"expected {limits}, not {value}")
        return number


def setting(
    default: Any,
    help: str,
    low: float | None = None,
    high: float | None = None,
    *,
    choices: tuple[str, ...] = (),
    convert: Callable[[Any], Any] | None = None,
) -> Any:
    """Return a `Setting`, which takes the place of the default in a class."""
    return Setting(default, help, low, high, choices, convert)


def number_kind(value: Any, *, is_whole: bool) -> str:
    """Return which kind of number is expected; of a size with a unit, how it is written."""
    if is_whole and isinstance(value, str) and _SIZE_WITH_UNIT.fullmatch(value):
        return "a whole number of bytes without a unit, such as 8000000000 or 8e9"
    return "a whole number" if is_whole else "a number"


def flag(value: Any) -> bool:
    """Return the truth value of a word or a value.

    Raises:
        ValueError: The word means neither yes nor no.
    """
    if not isinstance(value, str):
        return bool(value)
    word = value.strip().lower()
    if word not in _TRUE and word not in _FALSE:
        raise ValueError(f"expected true or false, not {value!r}")
    return word in _TRUE


def known_hint(
    name: str, known: Iterable[str], *, near_max: int = 1, shown: Callable[[str], str] = str
) -> str:
    """Return a hint with the known names most like ``name``, else with all known names.

    Args:
        shown: how a known name is written in the place of ``name``.
    """
    import difflib

    names = list(known)
    near = difflib.get_close_matches(name, names, n=near_max, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(map(shown, near))}?"
    return f"known are {', '.join(map(shown, sorted(names)))}"


def _path(value: Any) -> Path:
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise ValueError(f"expected a path, not {value!r}")
    return Path(value).expanduser().absolute()


def _whole(value: Any) -> int:
    """Return a whole number; also one that is written as 1e9."""
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            value = float(value)
    number = int(value)
    if number != value:
        raise ValueError
    return number


def _shown(number: float) -> str:
    return f"{number:,}" if number >= 1_000_000 else f"{number:g}"
