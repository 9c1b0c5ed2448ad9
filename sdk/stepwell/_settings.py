"""Settings of a run: arguments of `init`, `STEPWELL_*` variables, defaults.

Read once, in `init`. Arguments win over ``settings=``, which wins over the environment.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from stepwell._names import text_of
from stepwell._other_trackers import IGNORED, INVERTED, OTHER_NAMES
from stepwell._setting_values import (
    MODES,
    REINITS,
    RESUMES,
    console_of,
    mode_of,
    reinit_of,
    resume_of,
    tags_of,
)
from stepwell._terminal import Voice
from stepwell.errors import SettingsError
from stepwell_wire.limits import (
    BLOB_BYTES_MAX_DEFAULT,
    IDENTIFIER_BYTES_MAX,
    JOURNAL_BYTES_MAX_DEFAULT,
    JOURNAL_SEGMENT_BYTES,
    JOURNAL_SEGMENT_BYTES_MIN,
)
from stepwell_wire.places import default_data_dir, default_journals_dir, default_socket
from stepwell_wire.setting import Setting, flag, known_hint, setting

DEFAULT_PROJECT: Final = "uncategorized"
_FORBIDDEN_IN_PROJECT = "/\\#?%:"
_FORBIDDEN_IN_RUN_ID = "/\\#?%:;,'"


class _Declared(NamedTuple):
    """Each setting: its default, meaning and allowed values."""

    project: str = setting(DEFAULT_PROJECT, "name of the project", convert=str)
    run_id: str | None = setting(None, "the run's id; None: a new one", convert=str)
    name: str | None = setting(None, "display name", convert=lambda text: text_of(text) or None)
    notes: str | None = setting(None, "notes about the run", convert=text_of)
    tags: tuple[str, ...] = setting(
        (), "the run's tags; in a text, separated by commas", convert=tags_of
    )
    group: str | None = setting(None, "the group that the run belongs to", convert=text_of)
    job_type: str | None = setting(None, "the kind of job, such as train or eval", convert=text_of)
    entity: str | None = setting(None, "stored with the run, without effect", convert=text_of)
    mode: str = setting(
        "online", "online, offline, shared or disabled", choices=MODES, convert=mode_of
    )
    resume: str | None = setting(
        None, "continue an existing run", choices=RESUMES, convert=resume_of
    )
    reinit: str = setting(
        "default", "the effect of a second `init`", choices=REINITS, convert=reinit_of
    )
    label: str | None = setting(
        None, "name of this process in its run; None: the launcher's", convert=str
    )
    primary: bool | None = setting(
        None, "whether this process writes metadata and summary; None: rank 0 does", convert=flag
    )
    socket: str = setting("", "the daemon's socket", convert=str)
    data_dir: Path = setting(Path(), "the folder for a personal daemon's spool and store")
    journals_dir: Path = setting(Path(), "the folder of journals")
    no_daemon: bool = setting(False, "start no personal daemon")
    console: bool = setting(True, "capture stdout and stderr", convert=console_of)
    metadata: bool = setting(True, "collect git, host, command and packages")
    git: bool = setting(True, "collect the state of the git working tree")
    silent: bool = setting(False, "print nothing")
    quiet: bool = setting(False, "print only warnings and errors")
    flush_seconds: float = setting(0.2, "seconds between two batches of a writer", 0.02)
    finish_timeout: float = setting(30.0, "seconds that `finish` waits for the daemon", 0)
    journal_bytes_max: int = setting(
        JOURNAL_BYTES_MAX_DEFAULT, "maximum size of the journal in bytes; see on_full", 1
    )
    journal_segment_bytes: int = setting(
        JOURNAL_SEGMENT_BYTES,
        "maximum size of one segment of the journal in bytes",
        JOURNAL_SEGMENT_BYTES_MIN,
        1 << 30,
    )
    blob_bytes_max: int = setting(
        BLOB_BYTES_MAX_DEFAULT,
        "maximum bytes of media beside the journal, further media are dropped; 0: none",
        0,
    )
    on_full: str = setting(
        "drop",
        "if the journal is full: drop the newest rows, or block `log`",
        choices=("drop", "block"),
        convert=str,
    )


SETTINGS: Final[Mapping[str, Setting]] = _Declared._field_defaults
_PLACES: Final = ("socket", "data_dir", "journals_dir")  # See `stepwell_wire.places`.
VARIABLES: Final = {
    "STEPWELL_" + ("RUN_GROUP" if name == "group" else name.upper()): name
    for name in SETTINGS
    if name not in (*_PLACES, "primary")
}
"""The variable of each setting that has one."""

OTHER_VARIABLES: Final = (
    *("STEPWELL_SOCKET", "STEPWELL_SOCKET_OWNER", "STEPWELL_DATA", "STEPWELL_DIR"),
    *("STEPWELL_PYTHON", "STEPWELL_ARTIFACT_DIR"),
    *("STEPWELL_HUB", "STEPWELL_HUB_KEY", "STEPWELL_HUB_KEY_FILE"),
    *("STEPWELL_SWEEP_ID", "STEPWELL_SWEEP_NUMBER", "STEPWELL_SWEEP_FENCING"),
    *("STEPWELL_SWEEP_PARAM_PATH", "STEPWELL_SWEEP_STOP_PATH", "STEPWELL_SWEEP_LAUNCH"),
    "STEPWELL_SWEEP_RUN_ID",
    *("STEPWELL_AGENT_DISABLE_FLAPPING", "STEPWELL_AGENT_MAX_INITIAL_FAILURES"),
)
_NOT_SETTINGS: Final = ("STEPWELL_BENCH_", "STEPWELL_TEST_")


class Settings(_Declared):
    """One run's settings, by keyword. It also accepts the names of Weights & Biases' settings.

    Raises:
        SettingsError: An unknown name, or an invalid value.

    Attributes:
        project: name of the project.
        run_id: the run's id; None makes one.
        name, notes, group, job_type, entity: texts that are kept with the run.
        tags: the run's tags.
        mode: ``online``, ``offline``, ``disabled`` or ``shared``.
        resume: ``allow``, ``must``, ``never``, ``auto`` or None.
        reinit: the effect of a second ``init`` in one process; see `Run`.
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
        journal_segment_bytes: maximum size of one file of it.
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
        return cls._make(found.get(name, each.default) for name, each in SETTINGS.items())

    def __getattr__(self, name: str) -> Any:
        if name in OTHER_NAMES:
            return getattr(self, OTHER_NAMES[name])
        if name in INVERTED:
            return not getattr(self, INVERTED[name])
        if name in IGNORED:
            return self._others.get(name)
        raise AttributeError(f"settings have no {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"settings cannot be changed; create new ones with Settings({name}=…)")

    def __reduce__(self) -> tuple[Any, ...]:
        return Settings._of, (self._asdict(),)


class Default(NamedTuple):
    """A setting from another tracker's environment or file; ``source`` is for error messages."""

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
    """Return the settings of one run; None among ``arguments`` means "not given".

    ``defaults`` count less than the environment, the later ones more than the earlier; ``shared``
    are settings for all runs of the process, and count less than ``extra``.

    Raises:
        SettingsError: An invalid value; the message has its source and what is expected.
    """
    found: dict[str, Any] = {}
    for default in defaults:
        found[default.name] = _converted(default.name, default.value, default.source)
    for variable, name in VARIABLES.items():
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
    """Return ``settings`` in a form that can be pickled into another process."""
    return settings._asdict()


def _converted(name: str, value: Any, source: str) -> Any:
    try:
        return SETTINGS[name].read(value)
    except (ValueError, TypeError, OverflowError) as error:
        # The message has all facts; a second traceback would hide the user's own line.
        raise SettingsError(f"{source}: {error}") from None


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
    """Return the settings among ``given``, converted, and the known ones without effect here.

    Raises:
        SettingsError: An unknown name, or an invalid value.
    """
    found: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for name, value in given:
        if name.startswith("_"):  # Old form of experimental settings of Weights & Biases.
            name = "x" + name
        known = OTHER_NAMES.get(name, INVERTED.get(name, name))
        if known not in SETTINGS:
            if name not in IGNORED:
                _refuse_unknown(name)
            others[name] = value
        elif value is not None:
            converted = _converted(known, value, f"settings: {name}")
            found[known] = not converted if name in INVERTED else converted
    return found, others


def _refuse_unknown(name: str) -> None:
    hint = known_hint(name, [*SETTINGS, *OTHER_NAMES, *INVERTED, *IGNORED], near_max=3)
    raise SettingsError(f"settings: unknown name {name!r}; {hint}")


def _warn_unknown(environ: Mapping[str, str], voice: Voice | None) -> None:
    """Warn of unknown ``STEPWELL_*`` variables; training continues."""
    if voice is None:
        return
    known = [*VARIABLES, *OTHER_VARIABLES]
    for name in environ:
        if not name.startswith("STEPWELL_") or name in known or name.startswith(_NOT_SETTINGS):
            continue
        hint = known_hint(name, known)
        voice.warn_once(name, f"{name} is unknown to stepwell and has no effect; {hint}")


def _check_identifier(what: str, value: str, forbidden: str) -> None:
    if not value or value in (".", "..") or len(value.encode("utf-8", "replace")) > 128:
        raise SettingsError(
            f"{what} {value[:40]!r}: expected 1 to {IDENTIFIER_BYTES_MAX} bytes, not . or .."
        )
    bad = sorted({sign for sign in value if sign in forbidden or not sign.isprintable()})
    if bad:
        raise SettingsError(f"{what} {value!r} must not contain {' '.join(map(repr, bad))}")


def _cut(label: str) -> str:
    """Return ``label`` short enough to be an identifier, also with the suffix of a fork."""
    return label.encode("utf-8", "replace")[: IDENTIFIER_BYTES_MAX - 32].decode("utf-8", "ignore")
