"""What a run is started with: arguments of `init`, `STEPWELL_*` variables, defaults.

Read once, in `init`. Arguments win over ``settings=``, which wins over the environment.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from stepwell._other_trackers import IGNORED, INVERTED, OTHER_NAMES, nearest
from stepwell._setting_values import CONVERT
from stepwell._terminal import Voice
from stepwell.errors import SettingsError
from stepwell_wire.limits import (
    BLOB_BYTES_MAX_DEFAULT,
    IDENTIFIER_BYTES_MAX,
    JOURNAL_BYTES_MAX_DEFAULT,
    JOURNAL_SEGMENT_BYTES,
)
from stepwell_wire.places import default_data_dir, default_journals_dir, default_socket

DEFAULT_PROJECT: Final = "uncategorized"
_FORBIDDEN_IN_PROJECT = "/\\#?%:"
_FORBIDDEN_IN_RUN_ID = "/\\#?%:;,'"


class _Fields(NamedTuple):
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
    blob_bytes_max: int = BLOB_BYTES_MAX_DEFAULT
    on_full: str = "drop"


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
    "STEPWELL_BLOB_BYTES_MAX": "blob_bytes_max",
    "STEPWELL_ON_FULL": "on_full",
}
_OF_OTHERS: Final = (
    *("STEPWELL_SOCKET", "STEPWELL_SOCKET_OWNER", "STEPWELL_DATA", "STEPWELL_DIR"),
    *("STEPWELL_PYTHON", "STEPWELL_ARTIFACT_DIR"),
    *("STEPWELL_HUB", "STEPWELL_HUB_KEY", "STEPWELL_HUB_KEY_FILE"),
    *("STEPWELL_SWEEP_ID", "STEPWELL_SWEEP_NUMBER", "STEPWELL_SWEEP_FENCING"),
    *("STEPWELL_SWEEP_PARAM_PATH", "STEPWELL_AGENT_DISABLE_FLAPPING"),
    "STEPWELL_AGENT_MAX_INITIAL_FAILURES",
)
_NOT_SETTINGS: Final = ("STEPWELL_BENCH_", "STEPWELL_TEST_")


class Settings(_Fields):
    """One run's settings, by keyword. Names of Weights & Biases' settings are taken as well.

    Raises:
        SettingsError: An unknown name, or a value that cannot be.

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
        blob_bytes_max: bytes of media beside the journal at which new ones are not kept; 0: none.
        on_full: ``drop`` or ``block`` when the journal is full.
    """

    def __new__(cls, **given: Any) -> "Settings":
        known, others = _sorted_out(given.items())
        made = cls._of(known)
        object.__setattr__(made, "_given", known)
        object.__setattr__(made, "_others", others)
        return made

    _given: Mapping[str, Any] | None = None  # None: all of them.
    _others: Mapping[str, Any] = MappingProxyType({})

    @classmethod
    def _of(cls, found: Mapping[str, Any]) -> "Settings":
        """Return settings of values that are converted already."""
        return cls._make(found.get(name, value) for name, value in cls._field_defaults.items())

    def __getattr__(self, name: str) -> Any:
        if name in OTHER_NAMES:
            return getattr(self, OTHER_NAMES[name])
        if name in INVERTED:
            return not getattr(self, INVERTED[name])
        if name in IGNORED:
            return self._others.get(name)
        raise AttributeError(f"settings have no {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"settings cannot be changed; make others with Settings({name}=…)")

    def __reduce__(self) -> tuple[Any, ...]:
        return Settings._of, (self._asdict(),)


class Default(NamedTuple):
    """A setting as somebody else's environment or file says it; ``source`` is for complaints."""

    name: str
    value: Any
    source: str


def read_settings(
    arguments: Mapping[str, Any],
    extra: object = None,
    *,
    environ: Mapping[str, str] = os.environ,
    defaults: Iterable[Default] = (),
    shared: object = None,
    voice: Voice | None = None,
) -> Settings:
    """Return the settings of one run; None among ``arguments`` stands for "not given".

    ``defaults`` count less than the environment, the later ones more than the earlier; ``shared``
    are settings for all runs of the process, and count less than ``extra``.

    Raises:
        SettingsError: A value that cannot be, with where it comes from and what is expected.
    """
    found: dict[str, Any] = {}
    for default in defaults:
        found[default.name] = _converted(default.name, default.value, default.source)
    for variable, name in _VARIABLES.items():
        if variable in environ and (environ[variable] != "" or name == "console"):
            found[name] = _converted(name, environ[variable], variable)
    _warn_unknown(environ, voice)
    for each in (shared, extra):
        found.update(_sorted_out(_items(each))[0])
    for name, value in arguments.items():
        if value is not None:
            found[name] = _converted(name, value, f"init({name}=…)")
    places = dict(environ)
    if "data_dir" in found:
        places["STEPWELL_DATA"] = str(found["data_dir"])
    found.setdefault("socket", str(default_socket(places)))
    found.setdefault("data_dir", default_data_dir(places))
    found.setdefault("journals_dir", default_journals_dir(places))
    settings = Settings._of(found)
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
        return CONVERT[name](value)
    except (ValueError, TypeError, OverflowError) as error:
        raise SettingsError(f"{source}: {error}") from error


def _items(extra: object) -> list[tuple[str, Any]]:
    if extra is None:
        return []
    if isinstance(extra, Mapping):
        return [(str(name), value) for name, value in extra.items()]
    if isinstance(extra, Settings):
        return list((as_dict(extra) if extra._given is None else extra._given).items())
    if not hasattr(extra, "__dict__"):
        raise SettingsError(
            f"init(settings=…): expected Settings or a dict, not {type(extra).__name__}"
        )
    return [(name, value) for name, value in vars(extra).items() if not name.startswith("_")]


def _sorted_out(given: Iterable[tuple[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings among ``given``, converted, and what is known to mean nothing here.

    Raises:
        SettingsError: An unknown name, or a value that cannot be.
    """
    found: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for name, value in given:
        if name.startswith("_"):  # As experimental settings of Weights & Biases began once.
            name = "x" + name
        known = OTHER_NAMES.get(name, INVERTED.get(name, name))
        if known not in CONVERT:
            if name not in IGNORED:
                _refuse_unknown(name)
            others[name] = value
        elif value is not None:
            converted = _converted(known, value, f"settings: {name}")
            found[known] = not converted if name in INVERTED else converted
    return found, others


def _refuse_unknown(name: str) -> None:
    near = nearest(name, [*CONVERT, *OTHER_NAMES, *INVERTED, *IGNORED], 3)
    hint = f"; did you mean {' or '.join(near)}?" if near else f"; known: {', '.join(CONVERT)}"
    raise SettingsError(f"settings: unknown name {name!r}{hint}")


def _warn_unknown(environ: Mapping[str, str], voice: Voice | None) -> None:
    """Say which ``STEPWELL_*`` variable nobody reads; training goes on."""
    if voice is None:
        return
    known = [*_VARIABLES, *_OF_OTHERS]
    for name in environ:
        if not name.startswith("STEPWELL_") or name in known or name.startswith(_NOT_SETTINGS):
            continue
        near = nearest(name, known, 1)
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
