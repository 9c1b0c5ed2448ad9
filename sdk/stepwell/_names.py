"""Texts and names of users, made valid UTF-8 and short enough. Nothing raises.

A lone surrogate, such as `os.fsdecode` makes of a file name that is no UTF-8, becomes its escape
``\\udcXX``: different names stay different.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from stepwell_wire.limits import METRIC_NAME_BYTES_MAX

TEXT_CHARACTERS_MAX: Final = 256 * 1024
_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")

Warn = Callable[[str, str], None]
"""Takes the kind of a warning, and its text; prints each kind once."""


def warn_finished(warn: Warn, what: str) -> None:
    """Say that ``run.WHAT`` was changed too late."""
    warn(
        f"finished {what}",
        f"run.{what} was changed after finish(): the change is not stored; make it before finish()",
    )


def valid_text(text: str) -> str:
    """Return ``text`` as a plain str that can be encoded as UTF-8."""
    plain = str.__str__(text)  # Not the `__str__` of a class derived from it.
    if plain.isascii():
        return plain
    return plain.encode("utf-8", "backslashreplace").decode("utf-8")


def text_of(value: Any, describe: Callable[[Any], str] = str) -> str:
    """Return ``value`` as valid text, also where its `__str__` or `__repr__` is broken."""
    try:
        if isinstance(value, str):
            return valid_text(value)
        # With an address the text would differ in each process.
        return _ADDRESS.sub("", valid_text(describe(value)))
    except Exception as error:
        return f"<{kind_of(value)} without text: {kind_of(error)}>"


def kind_of(value: Any) -> str:
    """Return the name of the class of ``value``."""
    return str(type.__dict__["__name__"].__get__(type(value)))


def inside_itself(value: Any) -> str:
    """Return the text for ``value`` where it contains itself."""
    return f"<the enclosing {kind_of(value)}>"


def cut_text(text: str) -> str:
    """Return ``text`` in valid UTF-8, cut at ``TEXT_CHARACTERS_MAX``."""
    if str.__len__(text) > TEXT_CHARACTERS_MAX:
        plain = str.__str__(text)
        text = plain[:TEXT_CHARACTERS_MAX] + f"… ({len(plain)} characters)"
    return valid_text(text)


def metric_name(prefix: str, key: Any, warn: Warn) -> str:
    """Return the name under which ``key`` is stored."""
    text = text_of(key)
    if not issubclass(type(key), str):
        warn("key", f"metric names are strings; {text!r} ({kind_of(key)}) was converted to one")
    name = prefix + text
    if len(name) * 4 <= METRIC_NAME_BYTES_MAX:
        return name
    packed = name.encode()
    if len(packed) <= METRIC_NAME_BYTES_MAX:
        return name
    warn(
        "long key",
        f"metric name of {len(packed)} bytes cut to {METRIC_NAME_BYTES_MAX}: {name[:40]!r}…",
    )
    return cut_name(packed)


def silent(kind: str, text: str) -> None:
    """Take a warning that was given before."""


def cut_name(packed: bytes) -> str:
    """Return a name of at most ``METRIC_NAME_BYTES_MAX`` bytes that ends in a hash of the whole."""
    import hashlib

    seal = hashlib.blake2b(packed, digest_size=8).hexdigest()
    room = METRIC_NAME_BYTES_MAX - len(seal) - 1
    return packed[:room].decode("utf-8", "ignore") + "~" + seal
