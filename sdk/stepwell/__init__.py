"""stepwell: experiment tracking that never makes training wait.

    import stepwell

    run = stepwell.init(project="digits", config={"learning_rate": 0.001})
    run.log({"train/loss": 0.3})
    run.finish()

Importing has no effect and loads only the standard library. `stepwell.log`, `config`, `summary` and
the other module-level names use the run that `init` made last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from stepwell import _current
from stepwell_wire import __version__

TYPE_CHECKING = False  # Not from typing: that module alone would take half of our import time.
if TYPE_CHECKING:
    from typing import Any

    from stepwell import plot
    from stepwell._accounts import (
        ensure_configured,
        login,
        require,
        setup,
        teardown,
        termerror,
        termlog,
        termsetup,
        termwarn,
    )
    from stepwell._artifacts.artifact import Artifact
    from stepwell._config import Config
    from stepwell._definitions import Definition
    from stepwell._files import Audio, Html, Molecule, Object3D, Video
    from stepwell._histogram import Histogram
    from stepwell._image import Image
    from stepwell._later_calls import AlertLevel
    from stepwell._media import (
        Bokeh,
        Classes,
        Graph,
        JoinedTable,
        box3d,
    )
    from stepwell._plotly import Plotly
    from stepwell._reports import panel, report
    from stepwell._run import Run
    from stepwell._settings import Settings
    from stepwell._summary import Summary
    from stepwell._sweeps.calls import agent, controller, sweep
    from stepwell._sync import sync
    from stepwell._table import EvalTable, Table
    from stepwell.api import Api
    from stepwell.errors import (
        ConfigError,
        DaemonUnreachableError,
        HubError,
        HubUnreachableError,
        NoRunError,
        RefusedError,
        ResumeError,
        RunFinishedError,
        SettingsError,
        StepwellError,
        SweepError,
        SyncError,
        TrialStopped,
        UnavailableError,
        UsageError,
    )
    from stepwell.plot import plot_table
    from stepwell.wandb_compat import install_as_wandb

__all__ = [
    "AlertLevel",
    "Api",
    "Artifact",
    "Audio",
    "Bokeh",
    "Classes",
    "Config",
    "ConfigError",
    "DaemonUnreachableError",
    "Definition",
    "EvalTable",
    "Graph",
    "Histogram",
    "Html",
    "HubError",
    "HubUnreachableError",
    "Image",
    "JoinedTable",
    "Molecule",
    "NoRunError",
    "Object3D",
    "Plotly",
    "RefusedError",
    "ResumeError",
    "Run",
    "RunFinishedError",
    "Settings",
    "SettingsError",
    "StepwellError",
    "Summary",
    "SweepError",
    "SyncError",
    "Table",
    "TrialStopped",
    "UnavailableError",
    "UsageError",
    "Video",
    "__version__",
    "agent",
    "alert",
    "box3d",
    "config",
    "controller",
    "define_metric",
    "ensure_configured",
    "finish",
    "finish_artifact",
    "init",
    "install_as_wandb",
    "link_model",
    "log",
    "log_artifact",
    "log_model",
    "login",
    "mark_preempting",
    "panel",
    "pin_config_keys",
    "plot",
    "plot_table",
    "report",
    "require",
    "restore",
    "run",
    "save",
    "setup",
    "summary",
    "sweep",
    "sync",
    "teardown",
    "termerror",
    "termlog",
    "termsetup",
    "termwarn",
    "unwatch",
    "upsert_artifact",
    "use_artifact",
    "use_model",
    "watch",
]

_MEDIA = "Bokeh Classes Graph JoinedTable box3d"
_HOMES = {
    "AlertLevel": "_later_calls",
    "Api": "api",
    **dict.fromkeys(("agent", "controller", "sweep"), "_sweeps.calls"),
    **dict.fromkeys(("ensure_configured", "login", "require", "setup", "teardown"), "_accounts"),
    **dict.fromkeys(("termerror", "termlog", "termsetup", "termwarn"), "_accounts"),
    **dict.fromkeys(_MEDIA.split(), "_media"),
    **dict.fromkeys(("Audio", "Html", "Molecule", "Object3D", "Video"), "_files"),
    "Image": "_image",
    "Plotly": "_plotly",
    "EvalTable": "_table",
    "Table": "_table",
    "Artifact": "_artifacts.artifact",
    **dict.fromkeys(("panel", "report"), "_reports"),
    "plot": "",
    **dict.fromkeys(("CustomChart", "plot_table", "visualize"), "plot"),
    "install_as_wandb": "wandb_compat",
    "Config": "_config",
    "Definition": "_definitions",
    "Histogram": "_histogram",
    "Run": "_run",
    "Settings": "_settings",
    "Summary": "_summary",
    "sync": "_sync",
    "errors": "",
    "testing": "",
    "util": "",
    **dict.fromkeys((name for name in __all__ if name.endswith("Error")), "errors"),
    "CommError": "errors",
    "Error": "errors",
    "TrialStopped": "errors",
}
_NAMES_OF_WANDB = """
ArtifactTTL apis attach catboost data_types env gym integration keras lightgbm sdk sklearn
tensorboard wandb_run xgboost
"""
_ONLY_OF_WANDB = _NAMES_OF_WANDB.split()


class _NoRunYet:
    """Replaces `config` and `summary` while there is no run; any use raises `NoRunError`."""

    def __init__(self, name: str, module: str = "stepwell") -> None:
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_module", module)

    def _complain(self) -> Any:
        from stepwell.errors import NoRunError

        get = object.__getattribute__
        raise NoRunError(get(self, "_name"), get(self, "_module"))

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)  # Introspection does not count as use.
        return self._complain()

    def __setattr__(self, key: str, value: Any) -> None:
        self._complain()

    def __getitem__(self, key: str) -> Any:
        return self._complain()

    def __setitem__(self, key: str, value: Any) -> None:
        self._complain()

    def __repr__(self) -> str:
        get = object.__getattribute__
        return f"<{get(self, '_module')}.{get(self, '_name')}: no run>"


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
    allow_val_change: bool | None = None,
    group: str | None = None,
    job_type: str | None = None,
    mode: str | None = None,
    reinit: bool | str | None = None,
    resume: bool | str | None = None,
    resume_from: str | None = None,
    fork_from: str | None = None,
    settings: object = None,
    **others: Any,
) -> Run:
    """Start a run, or continue one, without waiting for the daemon or the network.

    Args:
        project: name of the project; default ``STEPWELL_PROJECT``.
        entity: stored with the run; has no other effect.
        dir: folder for journals, default ``STEPWELL_DIR``; the folder of `run.dir` is made in it,
            by default in the working folder.
        id: the run's id; default 8 letters and digits, the same in all processes of a job.
        name: display name; default word-word-number.
        notes, tags, group, job_type: stored with the run.
        config: parameters of the run: a dict, a Namespace, or the path of a YAML or JSON file.
        config_include_keys, config_exclude_keys: the keys of it to include or to exclude.
        mode: ``online``, ``offline``, ``disabled`` or ``shared``.
        reinit: the behaviour if a run is active: ``return_previous`` (default, with a notice; but
            another ``id`` finishes the previous run, with a notice, and starts a new one),
            ``finish_previous`` (or True; the default in a notebook), ``create_new``.
        resume: ``allow``, ``must``, ``never``, or ``auto`` (or True) for the last run that this
            machine did not finish.
        allow_val_change: allow changes of config values without the argument at each change;
            default True in a notebook.
        resume_from, fork_from: ``RUN_ID?_step=N``: not supported yet; the run continues, or starts,
            after that step.
        settings: more settings, a dict or an object; see `Settings`.
        others: other arguments of Weights & Biases without a meaning here, such as ``save_code``; a
            printed line says that they have no effect.

    Raises:
        SettingsError: An invalid value.
        TypeError: An unknown argument.
        ResumeError: The run exists with ``never``, or does not exist with ``must``.
    """
    from stepwell._init import start_run
    from stepwell._user_folder import absolute

    known = [name for name in init.__annotations__ if name not in ("others", "return")]
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
        others=others,
        known=known,
        allow_val_change=allow_val_change,
        branch=_branch(resume_from=resume_from, fork_from=fork_from),
        files_parent=absolute(dir),
    )


def _branch(**ways: str | None) -> tuple[str, str] | None:
    """Return (argument, value) of ``resume_from`` or ``fork_from``, None without one."""
    given = [(name, text) for name, text in ways.items() if text]
    if len(given) > 1:
        raise TypeError(f"init: give one of {' and '.join(name for name, _ in given)}, not both")
    return given[0] if given else None


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
    """End the current run; without one, do nothing."""
    if run is not None:
        run.finish(exit_code=exit_code, quiet=quiet)


join = finish  # The name in older scripts for Weights & Biases.


def _run_or_complain(name: str, module: str = "stepwell") -> Run:
    if run is None:
        from stepwell.errors import NoRunError

        raise NoRunError(name, module)
    return run


def _of_run(name: str, module: str = "stepwell") -> Callable[..., Any]:
    """Return a function that calls the method ``name`` of the current run."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(_run_or_complain(name, module), name)(*args, **kwargs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"See `Run.{name}`."
    return call


alert = _of_run("alert")
finish_artifact = _of_run("finish_artifact")
link_model = _of_run("link_model")
log_artifact = _of_run("log_artifact")
log_model = _of_run("log_model")
mark_preempting = _of_run("mark_preempting")
pin_config_keys = _of_run("pin_config_keys")
restore = _of_run("restore")
save = _of_run("save")
unwatch = _of_run("unwatch")
upsert_artifact = _of_run("upsert_artifact")
use_artifact = _of_run("use_artifact")
use_model = _of_run("use_model")
watch = _of_run("watch")

_RUN_NAMES = """
config summary log define_metric finish alert finish_artifact link_model log_artifact log_model
mark_preempting pin_config_keys restore save unwatch upsert_artifact use_artifact use_model watch
"""
_OF_RUN = _RUN_NAMES.split()
_current.follow(globals(), {name: globals()[name] for name in _OF_RUN})


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        hint = ""
        if name in _ONLY_OF_WANDB:
            hint = (
                f"; wandb.{name} exists for scripts that say `import wandb` and are started with "
                "`stepwell run -- python SCRIPT`"
            )
        raise AttributeError(f"module 'stepwell' has no attribute {name!r}{hint}")
    if not home:
        return __import__(f"stepwell.{name}", fromlist=["*"])
    value = getattr(__import__(f"stepwell.{home}", fromlist=["*"]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
