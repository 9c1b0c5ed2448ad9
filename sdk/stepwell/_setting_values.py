"""Meaning of settings that are not plain words or numbers. Pure."""

from collections.abc import Iterable
from typing import Any, Final

from stepwell._names import kind_of, text_of
from stepwell_wire.setting import flag

MODES: Final = ("online", "offline", "disabled", "shared")
_OLD_MODES: Final = {"dryrun": "offline", "run": "online"}
RESUMES: Final = ("allow", "must", "never", "auto")
REINITS: Final = ("default", "return_previous", "finish_previous", "create_new")
_CONSOLES: Final = ("auto", "wrap", "redirect", "wrap_raw", "wrap_emu")


def console_of(value: Any) -> bool:
    """Return whether the console is captured; each way of Weights & Biases' means yes."""
    return (isinstance(value, str) and value.strip().lower() in _CONSOLES) or flag(value)


def tags_of(value: Any) -> tuple[str, ...]:
    """Return the tags in a list, or in a text with commas.

    Raises:
        ValueError: Neither of these.
    """
    words: Any = text_of(value).split(",") if isinstance(value, str) else value
    if words is None:
        return ()
    if not isinstance(words, Iterable):
        raise ValueError(f"expected a list of texts, not {kind_of(value)}")
    texts = (text_of(word).strip() for word in words)
    return tuple(dict.fromkeys(text for text in texts if text))


def mode_of(value: Any) -> str:
    """Return the mode; older words are replaced by newer ones."""
    return _OLD_MODES.get(str(value), str(value))


def resume_of(value: Any) -> str | None:
    """Return the way to resume, None for none; True is ``auto``."""
    if value is None or value is False:
        return None
    if value is True:
        return "auto"
    word = str(value).strip().lower()
    if word in ("", "false", "0"):
        return None
    return "auto" if word in ("true", "1") else word


def reinit_of(value: Any) -> str:
    """Return the effect of a second ``init``; True finishes the previous run."""
    if value is None or isinstance(value, bool):
        return "finish_previous" if value else "default"
    return str(value)
