"""stepwell: experiment tracking that training never waits for.

    import stepwell

    run = stepwell.init(project="digits", config={"learning_rate": 0.001})
    run.log({"train/loss": 0.3})
    run.finish()

Importing does nothing and loads nothing but the standard library. `stepwell.log`, `config`,
`summary` and the others act on the run that `init` made last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stepwell_wire import __version__

TYPE_CHECKING = False  # Not from typing: that module alone would be half of our import's cost.
if TYPE_CHECKING:
    from typing import Any

    from stepwell._config import Config
    from stepwell._definitions import Definition
    from stepwell._run import Run
    from stepwell._settings import Settings
    from stepwell._summary import Summary
    from stepwell._sync import sync
    from stepwell.errors import (
        ConfigError,
        DaemonUnreachableError,
        NoRunError,
        RefusedError,
        ResumeError,
        RunFinishedError,
        SettingsError,
        StepwellError,
        SyncError,
        UsageError,
    )

__all__ = [
    "Config",
    "ConfigError",
    "DaemonUnreachableError",
    "Definition",
    "NoRunError",
    "RefusedError",
    "ResumeError",
    "Run",
    "RunFinishedError",
    "Settings",
    "SettingsError",
    "StepwellError",
    "Summary",
    "SyncError",
    "UsageError",
    "__version__",
    "config",
    "define_metric",
    "finish",
    "init",
    "log",
    "run",
    "summary",
    "sync",
]

_HOMES = {
    "Config": "_config",
    "Definition": "_definitions",
    "Run": "_run",
    "Settings": "_settings",
    "Summary": "_summary",
    "sync": "_sync",
    "errors": "",
    "testing": "",
    **dict.fromkeys((name for name in __all__ if name.endswith("Error")), "errors"),
}


class _NoRunYet:
    """Stands for `config` and `summary` while there is no run; any use says what is missing."""

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "_name", name)

    def _complain(self) -> Any:
        from stepwell.errors import NoRunError

        raise NoRunError(object.__getattribute__(self, "_name"))

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)  # Introspection is no use.
        return self._complain()

    def __setattr__(self, key: str, value: Any) -> None:
        self._complain()

    def __getitem__(self, key: str) -> Any:
        return self._complain()

    def __setitem__(self, key: str, value: Any) -> None:
        self._complain()

    def __repr__(self) -> str:
        return f"<stepwell.{object.__getattribute__(self, '_name')}: no run>"


run: Run | None = None
config: Config | Any = _NoRunYet("config")
summary: Summary | Any = _NoRunYet("summary")


def init(
    project: str | None = None,
    *,
    entity: str | None = None,
    dir: Any = None,
    id: str | None = None,
    name: str | None = None,
    notes: str | None = None,
    tags: Iterable[str] | None = None,
    config: Any = None,
    config_include_keys: Iterable[str] | None = None,
    config_exclude_keys: Iterable[str] | None = None,
    group: str | None = None,
    job_type: str | None = None,
    mode: str | None = None,
    reinit: bool | str | None = None,
    resume: bool | str | None = None,
    settings: object = None,
    **ignored: Any,
) -> Run:
    """Start a run, or go on with one, without waiting for anything.

    Args:
        project: name of the project; default ``STEPWELL_PROJECT``.
        entity: kept with the run, without further meaning.
        dir: folder for journals; default ``STEPWELL_DIR``.
        id: the run's id; default 8 letters and digits, the same in all processes of a job.
        name: display name; default word-word-number.
        notes, tags, group, job_type: kept with the run.
        config: what the run is started with: a dict, a Namespace or a YAML or JSON file's path.
        config_include_keys, config_exclude_keys: which of its keys to take.
        mode: ``online``, ``offline``, ``disabled`` or ``shared``.
        reinit: what to do when a run is active: ``return_previous`` (default, with a notice),
            ``finish_previous`` (or True), ``create_new``.
        resume: ``allow``, ``must``, ``never``, or ``auto`` (or True) for the run that this machine
            did not finish.
        settings: more settings, a dict or an object; see `Settings`.
        ignored: what code written for other trackers passes besides; nothing happens.

    Raises:
        SettingsError: A value that cannot be.
        ResumeError: The run exists though it must not, or does not though it must.
    """
    from stepwell._init import start_run

    arguments = {
        "project": project,
        "entity": entity,
        "journals_dir": dir,
        "run_id": id,
        "name": name,
        "notes": notes,
        "tags": tags,
        "group": group,
        "job_type": job_type,
        "mode": mode,
        "reinit": reinit,
        "resume": resume,
    }
    return start_run(
        arguments,
        config=config,
        include=config_include_keys,
        exclude=config_exclude_keys,
        settings=settings,
    )


def log(
    data: Mapping[str, Any],
    step: int | None = None,
    commit: bool | None = None,
    sync: bool | None = None,
) -> None:
    """Record one point per metric in the current run; see `Run.log`."""
    _run_or_complain("log").log(data, step, commit)


def define_metric(name: str, *args: Any, **kwargs: Any) -> Definition:
    """See `Run.define_metric`."""
    return _run_or_complain("define_metric").define_metric(name, *args, **kwargs)


def finish(exit_code: int | None = None, quiet: bool | None = None) -> None:
    """End the current run; nothing without one."""
    if run is not None:
        run.finish(exit_code=exit_code, quiet=quiet)


def _run_or_complain(name: str) -> Run:
    if run is None:
        from stepwell.errors import NoRunError

        raise NoRunError(name)
    return run


_placeholders: dict[str, Any] = {
    "config": config,
    "summary": summary,
    "log": log,
    "define_metric": define_metric,
    "finish": finish,
}


def _bind(current: Run | None) -> None:
    """Make the module-level names mean ``current``; without one they complain again."""
    names = globals()
    names["run"] = current
    for name, placeholder in _placeholders.items():
        names[name] = placeholder if current is None else getattr(current, name)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'stepwell' has no attribute {name!r}")
    if not home:
        return __import__(f"stepwell.{name}", fromlist=["*"])
    value = getattr(__import__(f"stepwell.{home}", fromlist=["*"]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
