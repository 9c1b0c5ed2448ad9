"""What the values of settings may be: from what people write to what is meant. Pure."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from stepwell._names import kind_of, text_of

MODES: Final = ("online", "offline", "disabled", "shared")
_OLD_MODES = {"dryrun": "offline", "run": "online"}
RESUMES: Final = ("allow", "must", "never", "auto")
REINITS: Final = ("default", "return_previous", "finish_previous", "create_new")


def _flag(value: Any) -> bool:
    if isinstance(value, str):
        word = value.strip().lower()
        if word in ("", "0", "false", "no", "off"):
            return False
        if word in ("1", "true", "yes", "on"):
            return True
        raise ValueError(f"expected true or false, not {value!r}")
    return bool(value)


def _console(value: Any) -> bool:
    if isinstance(value, str) and value.strip().lower() in (
        "auto",
        "wrap",
        "redirect",
        "wrap_raw",
        "wrap_emu",
    ):
        return True
    return _flag(value)


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


def _mode(value: Any) -> str:
    word = _OLD_MODES.get(str(value), str(value))
    return _one_of(word, MODES)


def _resume(value: Any) -> str | None:
    if value is None or value is False:
        return None
    if value is True:
        return "auto"
    word = str(value).strip().lower()
    if word in ("", "false", "0"):
        return None
    return "auto" if word in ("true", "1") else _one_of(word, RESUMES)


def _reinit(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "finish_previous" if value else "default"
    return _one_of(str(value), REINITS)


def _one_of(word: str, words: tuple[str, ...]) -> str:
    if word not in words:
        raise ValueError(f"expected one of {', '.join(words)}, not {word!r}")
    return word


def _at_least(lowest: float) -> Callable[[Any], float]:
    def convert(value: Any) -> float:
        number = float(value)
        if not number >= lowest:
            raise ValueError(f"expected {lowest} or more, not {value!r}")
        return number

    return convert


def _whole_at_least(lowest: int, highest: int | None = None) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        number = int(_at_least(lowest)(value))
        if highest is not None and number > highest:
            raise ValueError(f"expected at most {highest}, not {value}")
        return number

    return convert


def _on_full(value: Any) -> str:
    return _one_of(str(value), ("drop", "block"))


CONVERT: Final[dict[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(("project", "run_id", "label", "socket"), str),
    **dict.fromkeys(("name", "notes", "group", "job_type", "entity"), text_of),
    **dict.fromkeys(
        ("data_dir", "journals_dir"), lambda value: Path(value).expanduser().absolute()
    ),
    **dict.fromkeys(("no_daemon", "metadata", "git", "silent", "quiet", "primary"), _flag),
    "tags": tags_of,
    "mode": _mode,
    "resume": _resume,
    "reinit": _reinit,
    "console": _console,
    "flush_seconds": _at_least(0.02),
    "finish_timeout": _at_least(0),
    "journal_bytes_max": _whole_at_least(1),
    "blob_bytes_max": _whole_at_least(0),
    "journal_segment_bytes": _whole_at_least(64 * 1024, 1 << 30),
    "on_full": _on_full,
}
