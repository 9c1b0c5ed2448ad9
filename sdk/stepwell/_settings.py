"""What a run is started with: arguments of `init`, `STEPWELL_*` variables, defaults.

Read once, in `init`. Arguments win over ``settings=``, which wins over the environment.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from stepwell._terminal import Voice
from stepwell.errors import SettingsError
from stepwell_wire.limits import (
    IDENTIFIER_BYTES_MAX,
    JOURNAL_BYTES_MAX_DEFAULT,
    JOURNAL_SEGMENT_BYTES,
)
from stepwell_wire.places import default_data_dir, default_journals_dir, default_socket

MODES: Final = ("online", "offline", "disabled", "shared")
_OLD_MODES = {"dryrun": "offline", "run": "online"}
RESUMES: Final = ("allow", "must", "never", "auto")
REINITS: Final = ("default", "return_previous", "finish_previous", "create_new")
DEFAULT_PROJECT: Final = "uncategorized"
_FORBIDDEN_IN_PROJECT = "/\\#?%:"
_FORBIDDEN_IN_RUN_ID = "/\\#?%:;,'"


class Settings(NamedTuple):
    """One run's settings.

    Attributes:
        project: name of the project.
        run_id: the run's id; None makes one.
        name, notes, group, job_type, entity: texts that are kept with the run.
        tags: the run's tags.
        mode: ``online``, ``offline``, ``disabled`` or ``shared``.
        resume: ``allow``, ``must``, ``never``, ``auto`` or None.
        reinit: what a second ``init`` in one process does; see `Run`.
        label: name of this process in its run; None takes it from the launcher.
        primary: whether this process writes metadata and summary; None: rank 0 does.
        socket, data_dir, journals_dir: places, see `stepwell_wire.places`.
        no_daemon: start no personal daemon.
        console: capture stdout and stderr.
        metadata: collect git, host, command and packages.
        git: ask git about the working tree.
        silent: print nothing.
        quiet: print only what is wrong.
        flush_seconds: how often a writer sends, at least 0.02.
        finish_timeout: seconds that ``finish`` waits for the daemon.
        journal_bytes_max: size of the journal at which the newest points are dropped.
        journal_segment_bytes: size of one file of it.
        on_full: ``drop`` or ``block`` when the journal is full.
    """

    project: str = DEFAULT_PROJECT
    run_id: str | None = None
    name: str | None = None
    notes: str | None = None
    tags: tuple[str, ...] = ()
    group: str | None = None
    job_type: str | None = None
    entity: str | None = None
    mode: str = "online"
    resume: str | None = None
    reinit: str = "default"
    label: str | None = None
    primary: bool | None = None
    socket: str = ""
    data_dir: Path = Path()
    journals_dir: Path = Path()
    no_daemon: bool = False
    console: bool = True
    metadata: bool = True
    git: bool = True
    silent: bool = False
    quiet: bool = False
    flush_seconds: float = 0.2
    finish_timeout: float = 30.0
    journal_bytes_max: int = JOURNAL_BYTES_MAX_DEFAULT
    journal_segment_bytes: int = JOURNAL_SEGMENT_BYTES
    on_full: str = "drop"


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
    if isinstance(value, str) and value.strip().lower() in ("auto", "wrap", "redirect", "wrap_raw"):
        return True
    return _flag(value)


def _tags(value: Any) -> tuple[str, ...]:
    words: Iterable[Any] = value.split(",") if isinstance(value, str) else value
    return tuple(dict.fromkeys(str(word).strip() for word in words if str(word).strip()))


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


def _text(value: Any) -> str:
    return str(value)


def _on_full(value: Any) -> str:
    return _one_of(str(value), ("drop", "block"))


_CONVERT: Final[dict[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(("project", "run_id", "name", "notes", "group", "job_type", "entity"), _text),
    **dict.fromkeys(("label", "socket"), _text),
    **dict.fromkeys(
        ("data_dir", "journals_dir"), lambda value: Path(value).expanduser().absolute()
    ),
    **dict.fromkeys(("no_daemon", "metadata", "git", "silent", "quiet", "primary"), _flag),
    "tags": _tags,
    "mode": _mode,
    "resume": _resume,
    "reinit": _reinit,
    "console": _console,
    "flush_seconds": _at_least(0.02),
    "finish_timeout": _at_least(0),
    "journal_bytes_max": _whole_at_least(1),
    "journal_segment_bytes": _whole_at_least(64 * 1024, 1 << 30),
    "on_full": _on_full,
}

_VARIABLES: Final = {
    "STEPWELL_PROJECT": "project",
    "STEPWELL_RUN_ID": "run_id",
    "STEPWELL_NAME": "name",
    "STEPWELL_NOTES": "notes",
    "STEPWELL_TAGS": "tags",
    "STEPWELL_RUN_GROUP": "group",
    "STEPWELL_JOB_TYPE": "job_type",
    "STEPWELL_ENTITY": "entity",
    "STEPWELL_MODE": "mode",
    "STEPWELL_RESUME": "resume",
    "STEPWELL_REINIT": "reinit",
    "STEPWELL_LABEL": "label",
    "STEPWELL_NO_DAEMON": "no_daemon",
    "STEPWELL_CONSOLE": "console",
    "STEPWELL_METADATA": "metadata",
    "STEPWELL_GIT": "git",
    "STEPWELL_SILENT": "silent",
    "STEPWELL_QUIET": "quiet",
    "STEPWELL_FLUSH_SECONDS": "flush_seconds",
    "STEPWELL_FINISH_TIMEOUT": "finish_timeout",
    "STEPWELL_JOURNAL_BYTES_MAX": "journal_bytes_max",
    "STEPWELL_JOURNAL_SEGMENT_BYTES": "journal_segment_bytes",
    "STEPWELL_ON_FULL": "on_full",
}
_OF_OTHERS: Final = ("STEPWELL_SOCKET", "STEPWELL_DATA", "STEPWELL_DIR")
_NOT_SETTINGS: Final = ("STEPWELL_BENCH_", "STEPWELL_TEST_")

# Names that people know from elsewhere.
_OTHER_NAMES: Final = {
    "id": "run_id",
    "run_name": "name",
    "run_notes": "notes",
    "run_tags": "tags",
    "run_group": "group",
    "run_job_type": "job_type",
    "x_label": "label",
    "x_primary": "primary",
    "root_dir": "journals_dir",
    "dir": "journals_dir",
    "data": "data_dir",
}
_IGNORED: Final = frozenset(
    {
        "anonymous",
        "api_key",
        "base_url",
        "code_dir",
        "disable_code",
        "disable_job_creation",
        "force",
        "heartbeat_seconds",
        "init_timeout",
        "program",
        "save_code",
        "show_info",
        "start_method",
        "strict",
        "symlink",
        "sync_tensorboard",
        "x_disable_stats",
        "x_stats_sampling_interval",
        "x_update_finish_state",
    }
)


def read_settings(
    arguments: Mapping[str, Any],
    extra: object = None,
    *,
    environ: Mapping[str, str] = os.environ,
    voice: Voice | None = None,
) -> Settings:
    """Return the settings of one run; None among ``arguments`` stands for "not given".

    Raises:
        SettingsError: A value that cannot be, with where it comes from and what is expected.
    """
    found: dict[str, Any] = {}
    for variable, name in _VARIABLES.items():
        if variable in environ and (environ[variable] != "" or name == "console"):
            found[name] = _converted(name, environ[variable], variable)
    _warn_unknown(environ, voice)
    for name, value in _items(extra):
        known = _OTHER_NAMES.get(name, name)
        if known not in _CONVERT:
            if name not in _IGNORED:
                _refuse_unknown(name)
            continue
        if value is not None:
            found[known] = _converted(known, value, f"settings: {name}")
    for name, value in arguments.items():
        if value is not None:
            found[name] = _converted(name, value, f"init({name}=…)")
    places = dict(environ)
    if "data_dir" in found:
        places["STEPWELL_DATA"] = str(found["data_dir"])
    found.setdefault("socket", str(default_socket(places)))
    found.setdefault("data_dir", default_data_dir(places))
    found.setdefault("journals_dir", default_journals_dir(places))
    settings = Settings(**found)
    _check_identifier("project", settings.project, _FORBIDDEN_IN_PROJECT)
    if settings.run_id is not None:
        _check_identifier("run id", settings.run_id, _FORBIDDEN_IN_RUN_ID)
    if settings.label is not None:
        settings = settings._replace(label=_cut(settings.label))
    return settings


def as_dict(settings: Settings) -> dict[str, Any]:
    """Return ``settings`` as what can be pickled into another process."""
    return settings._asdict()


def _converted(name: str, value: Any, source: str) -> Any:
    try:
        return _CONVERT[name](value)
    except (ValueError, TypeError, OverflowError) as error:
        raise SettingsError(f"{source}: {error}") from error


def _items(extra: object) -> list[tuple[str, Any]]:
    if extra is None:
        return []
    if isinstance(extra, Mapping):
        return [(str(name), value) for name, value in extra.items()]
    if isinstance(extra, Settings):
        return list(as_dict(extra).items())
    return [(name, value) for name, value in vars(extra).items() if not name.startswith("_")]


def _refuse_unknown(name: str) -> None:
    near = _near(name, [*_CONVERT, *_OTHER_NAMES], 3)
    hint = f"; did you mean {' or '.join(near)}?" if near else f"; known: {', '.join(_CONVERT)}"
    raise SettingsError(f"settings: unknown name {name!r}{hint}")


def _near(name: str, known: Iterable[str], count: int) -> list[str]:
    import difflib

    return difflib.get_close_matches(name, list(known), count)


def _warn_unknown(environ: Mapping[str, str], voice: Voice | None) -> None:
    """Say which ``STEPWELL_*`` variable nobody reads; training goes on."""
    if voice is None:
        return
    known = [*_VARIABLES, *_OF_OTHERS]
    for name in environ:
        if not name.startswith("STEPWELL_") or name in known or name.startswith(_NOT_SETTINGS):
            continue
        near = _near(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}"
        voice.warn_once(name, f"{name} is no setting of stepwell and has no effect; {hint}")


def _check_identifier(what: str, value: str, forbidden: str) -> None:
    if not value or value in (".", "..") or len(value.encode("utf-8", "replace")) > 128:
        raise SettingsError(
            f"{what} {value[:40]!r}: expected 1 to {IDENTIFIER_BYTES_MAX} bytes, not . or .."
        )
    bad = sorted({sign for sign in value if sign in forbidden or not sign.isprintable()})
    if bad:
        raise SettingsError(f"{what} {value!r} must not contain {' '.join(map(repr, bad))}")


def _cut(label: str) -> str:
    """Return ``label`` short enough to be an identifier, also with what a fork adds."""
    return label.encode("utf-8", "replace")[: IDENTIFIER_BYTES_MAX - 32].decode("utf-8", "ignore")
