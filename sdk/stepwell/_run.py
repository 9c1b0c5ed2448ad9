"""`Run`: what `init` returns."""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from stepwell import _session
from stepwell._argument_names import checks_names_of_calls
from stepwell._artifacts.using import UsingCalls
from stepwell._config import Config
from stepwell._definitions import Definition, make_definition
from stepwell._ending import ending_of_error
from stepwell._last_error import error_at_finish
from stepwell._later_calls import LaterCalls
from stepwell._memory import Memory, Remembered, given_facts, last_row_us, shown_facts
from stepwell._other_names import OtherNames
from stepwell._other_trackers import nearest
from stepwell._progress import Progress
from stepwell._recording import Recording, child_label
from stepwell._settings import Settings, as_dict, read_settings
from stepwell._summary import Summary
from stepwell._terminal import OF_ALL, Voice
from stepwell._user_folder import FOLDER, UserFolder, absolute, folder_name, last_folder_name
from stepwell._whole_numbers import whole_operations
from stepwell.errors import RunFinishedError, SettingsError
from stepwell_wire.exit_note import Ending
from stepwell_wire.records import CONFIG, DEFINE_METRIC, RUN, SUMMARY

if TYPE_CHECKING:
    from stepwell._command import Command
    from stepwell._sweeps.stopping import Stopper
    from stepwell._sweeps.trial import Trial
    from stepwell._watch import Watches


@checks_names_of_calls
class Run(UsingCalls, LaterCalls, OtherNames):
    """One execution of a training job, seen from this process.

    Made by `stepwell.init`. A context manager: its exit finishes the run, as ``failed`` after an
    exception. A run that is pickled into another process continues there as a separate writer, and
    so does the run of a forked child that logs.

    Attributes:
        config: the parameters of the run.
        summary: one value for each metric.
    """

    _FILES_FOLDER = FOLDER

    def __init__(
        self,
        settings: Settings,
        *,
        run_id: str,
        name: str,
        label: str,
        primary: bool,
        rank: int,
        world_size: int,
        remembered: Remembered | None,
        known: Remembered | None,
        voice: Voice,
        copy_id: str | None = None,
        memory: Memory | None = None,
        files_parent: Path | None = None,
        files_dir: str | None = None,
        follows_rank_0: bool = False,
        restart_mark: int = 0,
        is_restarted_by_launcher: bool = False,
    ) -> None:
        self._settings = settings
        self._id = run_id
        self._name = name
        self._show(shown_facts(given_facts(settings), remembered or known))
        self._rank, self._world_size = rank, world_size
        self._resumed = remembered is not None
        self._started_at = time.time()
        self._starting_step = remembered.next_step if remembered else 0
        self._about = dict(remembered.about) if remembered else {}
        self._summary_before = dict(remembered.summary) if remembered else {}
        self._voice = voice
        self._user_folder = self._make_user_folder(files_parent, files_dir, label)
        self._watches: Watches | None = None
        self._stopper: Stopper | None = None
        self._saved = None
        self._copy_id = copy_id or os.urandom(8).hex()
        self._memory = memory or Memory(settings.journals_dir, settings.project)
        self._keeps_memory = settings.mode != "disabled"
        self._progress = Progress(
            self._memory,
            run_id,
            lock=lambda: self._writer.lock,
            remembered=lambda: self._remembered(self.summary._as_stored()),
            is_primary=primary,
        )
        start: dict[str, Any] = {
            "rank": rank,
            "world_size": world_size,
            "resumed": self._resumed,
        }
        if restart_mark:
            start |= {"restart": restart_mark, "by_launcher": is_restarted_by_launcher}
        if primary:
            start["name"] = name
            if not settings.name:
                start["name_is_made"] = True
        elif follows_rank_0:
            start |= _facts_of_follower(settings, name)
        self._trial = _trial_of(run_id)
        if self._trial is not None:
            start["sweep"] = self._trial.place
        self._recording = Recording(
            settings,
            run_id=run_id,
            name=name,
            label=label,
            primary=primary,
            start=start,
            starting_step=self._starting_step,
            voice=voice,
            note_progress=self._progress.look if self._keeps_memory else lambda next_step: None,
            look=self._look,
            on_command=None if self._trial is None else self._take_command,
        )
        self._writer = self._recording.writer
        before = remembered.started_at if remembered else 0.0
        self._first_started_at = before or self._recording.started_at
        self._config = Config(
            self._publish(CONFIG),
            voice.warn_once,
            lambda: self._writer.lock,
            lambda: self.finished,
        )
        self._summary = Summary(
            self._writer,
            self._publish(SUMMARY),
            voice.warn_once,
            lambda: self._first_started_at,
            lambda: self.finished,
        )
        if remembered is not None:
            self._go_on_from(remembered)

    # ------------------------------------------------------------------ logging

    def log(
        self,
        data: Mapping[str, Any],
        step: int | None = None,
        commit: bool | None = None,
        sync: bool | None = None,
    ) -> None:
        """Record one point per metric. Does no I/O and never waits for the daemon.

        Args:
            data: metric name to value. Numbers become points; other values are kept in the history,
                see docs/logging.md. NaN and infinities are kept.
            step: the training step; it is then the current step for calls without ``step``.
                Default: the current step, which is then increased by one.
            commit: False keeps the row of the current step open, True closes it.
            sync: accepted for old code; without effect.

        Raises:
            TypeError: ``data`` is not a dict, or ``step`` is not an integer.
            RunFinishedError: ``finish()`` was called before.

        No value raises an error. Points that do not fit in the journal are dropped and counted, see
        ``dropped_points``.
        """
        self._writer.log(data, step, commit)

    def define_metric(
        self,
        name: str,
        step_metric: "str | Definition | None" = None,
        step_sync: bool | None = None,
        hidden: bool | None = None,
        summary: str | Iterable[str] | None = None,
        goal: str | None = None,
        overwrite: bool | None = None,
    ) -> Definition:
        """Define the summary of a metric and the metric of its x axis.

        Args:
            name: a metric, or a prefix that ends in ``*``.
            step_metric: the metric of its x axis.
            step_sync: write the last value of the step metric into rows without one; default: True
                if there is a step metric.
            hidden: leave it out of default charts.
            summary: some of min, max, mean, last, first, best, none, joined by commas. ``last``
                alone is the plain value; ``copy`` of older scripts is the same.
            goal: ``minimize`` or ``maximize``: what ``best`` means.
            overwrite: replace an earlier definition of this name, instead of adding to it.
        """
        definition = make_definition(
            name,
            step_metric=step_metric,
            step_sync=step_sync,
            hidden=hidden,
            summary=summary,
            goal=goal,
        )
        with self._writer.lock:
            self._check_running("define_metric()")
            merged = self._writer.definitions.add(definition, overwrite=bool(overwrite))
            self._writer.redefine()
            self._recording.write(DEFINE_METRIC, merged.to_event())
        return merged

    def watch(
        self,
        models: Any,
        criterion: Any = None,
        log: str | None = "gradients",
        log_freq: int = 1000,
        idx: int | None = None,
        log_graph: bool = False,
    ) -> None:
        """Record gradients and parameters of torch modules as histograms, until `unwatch`.

        They are named ``gradients/NAME`` and ``parameters/NAME`` and belong to the row that the
        next ``log`` closes. Names of further models begin with ``graph_N``.

        Args:
            models: a module, or a list or tuple of them.
            criterion: accepted for old code; without effect.
            log: ``gradients``, ``parameters``, ``all``, or None for no histograms.
            log_freq: number of backward passes from one record to the next.
            idx: the number of the first model; default: the number of models watched before.
            log_graph: not supported yet: the layers of a model are not stored.

        Raises:
            TypeError: One of ``models`` is not a module.
            ValueError: A model is watched already; an unknown ``log``; a ``log_freq`` below 1.
        """
        self._check_running("watch()")
        if self.disabled:
            return
        if log_graph:
            self._warn_unavailable("graph", "watch(log_graph=True)")
        if self._watches is None:
            from stepwell._watch import Watches

            self._watches = Watches(self._write_histograms, self._voice.warn_once)
        self._watches.add(models, log, log_freq, idx)

    def unwatch(self, models: Any = None) -> None:
        """Remove the hooks of `watch` from ``models``, or from all models."""
        if self._watches is not None:
            self._watches.remove(models)

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until all logged rows are acknowledged; return False after ``timeout`` seconds."""
        self._look()
        if self._keeps_memory and not self.finished:
            self._progress.note(self._writer.next_step)
        return self._recording.flush(timeout)

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        """End the run and send all remaining rows, ``finish_timeout`` seconds at most.

        Safe to call twice. Rows that could not be sent stay on disk, and a line names the folder.
        """
        code = exit_code or 0
        if (error := error_at_finish(code)) is not None:
            self._recording.console.note_error(error)
        self._finish(Ending("failed" if code else "finished", code), quiet=quiet)

    def _finish(self, ending: Ending | None, *, quiet: bool | None = None) -> None:
        """Finish the run; None means that the exit status of this process is its end."""
        if self._recording.finished:
            return
        if quiet:
            self._voice.silent = True
        self.unwatch()
        self._save_last()
        try:
            with contextlib.nullcontext() if self._stopper is None else self._stopper.shield():
                self._recording.finish(ending, write_last=lambda: self._write_last(ending))
            with contextlib.suppress(Exception):  # The failure is also reported elsewhere.
                self._report_failed()
        finally:
            self._memory.close()
            _session.end(self)

    def _write_last(self, ending: Ending | None) -> None:
        if self.disabled:
            return
        self._look()
        # The store computes the summary from the logged and set values: it is not written again.
        self._progress.note(self._writer.next_step)
        if self._settings.resume == "auto" and self._recording.primary:
            if ending is None:
                self._memory.end_auto_by_status()
            elif ending.state == "finished":
                self._memory.set_auto_run_id(None)

    def _remembered(self, summary: dict[str, Any]) -> Remembered:
        """Return the facts of the run that this machine keeps for `resume`."""
        return Remembered(
            run_id=self._id,
            name=self._name,
            config=self.config._stored(),
            config_given=dict(self.config._given),
            summary=summary,
            started_at=self._first_started_at,
            about=self._about,
            shown=self._shown(),
            trackers=self._writer.definitions.states(),
            definitions=[each.to_event() for each in self._writer.definitions.by_name.values()],
        )

    # ------------------------------------------------------------------ what it is

    @property
    def config(self) -> Config:
        return self._config

    @config.setter
    def config(self, value: object) -> None:
        raise AttributeError("config cannot be replaced; use run.config.update({…})")

    @property
    def summary(self) -> Summary:
        return self._summary

    @summary.setter
    def summary(self, value: object) -> None:
        raise AttributeError("summary cannot be replaced; use run.summary.update({…})")

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and not hasattr(type(self), name):
            near = nearest(name, [each for each in dir(type(self)) if each[0] != "_"], 1)
            hint = f"; did you mean run.{near[0]}?" if near else ""
            self._voice.warn_once(
                f"attribute {name}",
                f"run.{name} is not an attribute of a run, so its value is not recorded{hint}",
            )
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        state = "finished" if self.finished else self.mode
        return f"<stepwell run {self._name} ({self.path}, {state})>"

    # ------------------------------------------------------------------ context manager, copies

    def __enter__(self) -> "Run":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self._recording.console.note_error(error)
        self._finish(ending_of_error(error))

    def __copy__(self) -> "Run":
        return self

    def __deepcopy__(self, memo: object) -> "Run":
        return self

    def __reduce__(self) -> tuple[Callable[[dict[str, Any]], "Run"], tuple[dict[str, Any]]]:
        return attach, (self._for_another_process(),)

    # ------------------------------------------------------------------ inside

    def _go_on_from(self, remembered: Remembered) -> None:
        """Restore config, summary and the definitions of metrics."""
        self._config._recall(remembered.config, remembered.config_given)
        definitions = self._writer.definitions
        definitions.resume(remembered.trackers, remembered.definitions)
        summary = {k: v for k, v in remembered.summary.items() if not k.startswith("_")}
        for name, value in summary.items():
            # Until its next log, the metric has no tracker that knows these as operations.
            if isinstance(value, dict) and (found := definitions.of(name)) and found.summary:
                summary[name] = whole_operations(value)
        if summary:
            self._writer.set_latest(summary, are_logged=True)
        if time_us := last_row_us(remembered):
            self._writer.resume_after(time_us)

    def _start(self, config: Mapping[str, Any], *, allow_val_change: bool = False) -> None:
        """Write the first facts of the run, and start sending."""
        settings = self._settings
        if allow_val_change:
            self._config._allow_changes()
        about = given_facts(settings)
        about["sweep"] = None if self._trial is None else self._trial.sweep_id
        # Only one writer sends the facts of the run so. The ranks of other nodes do not know the
        # earlier facts, and would undo edits made on the page: see `_facts_of_follower`.
        primary = self._recording.primary
        given = {name: value for name, value in about.items() if primary and value is not None}
        before, self._about = self._about, {**self._about, **given}
        # A resumed script sends the same facts again: this must not undo a later edit.
        changed = {name: value for name, value in given.items() if before.get(name) != value}
        if changed:
            self._recording.write(RUN, changed)
        if self._trial is not None:
            self._join_sweep(self._trial)
        if config:
            self.config.update(config, allow_val_change=True)
        if self._recording.primary and not self.disabled:
            self._memory.note_step(self._id, self._starting_step)
            self._memory.note(self._remembered(self._summary_before))
            if failure := self._memory.failure:
                self._voice.warn_once(
                    OF_ALL + "notes",
                    f"init: {failure}; so this run cannot be resumed "
                    "on this machine. Its points are kept. Make the folder writable for your user "
                    "or set STEPWELL_DIR to another folder",
                )
        self._recording.ensure_daemon()
        self._recording.begin_sending()

    def _join_sweep(self, trial: "Trial") -> None:
        """Set the trial's parameters, and allow the hub to stop the trial."""
        self.config.update_locked(trial.params, "sweep")
        if not self.disabled:
            from stepwell._sweeps import stopping

            self._stopper = stopping.of_trial()
            self._stopper.add(self)

    def _take_command(self, command: "Command") -> None:
        """Execute a command of the hub for this run; on the connection's thread."""
        trial = self._trial
        if trial is None or self._stopper is None or command.kind != "stop":
            return
        if (command.sweep_id, command.number) == (trial.sweep_id, trial.number):
            self._stopper.stop(command.reason)

    def _for_another_process(self) -> dict[str, Any]:
        """Return the argument for `attach` in the other process."""
        return {
            "settings": as_dict(self._settings),
            "run_id": self._id,
            "name": self._name,
            "label": self.label,
            "rank": self._rank,
            "world_size": self._world_size,
            "copy_id": self._copy_id,
            "shown": self._shown(),
            "config": self.config._stored(),
            "files_dir": None if self.disabled else str(self._user_folder.path),
        }

    def _make_user_folder(self, parent: Path | None, path: str | None, label: str) -> UserFolder:
        """Return the folder of `dir`: ``path``, or a new one below ``parent``."""
        if path is None:
            name = folder_name(self._id, self._started_at, is_offline=self.offline)
            below = Path(self._FILES_FOLDER, name, last_folder_name(self._rank, label, os.getpid()))
            path = str(below if self.disabled else (parent or absolute(None)) / below)
        return UserFolder(Path(path), is_temporary=self.disabled, say=self._voice.say)

    def _publish(self, kind: str) -> Callable[[dict[str, Any], list[str]], None]:
        def write(values: dict[str, Any], delete: list[str]) -> None:
            self._recording.write_set(kind, values, delete)
            self._progress.changed()

        return write

    def _look(self) -> None:
        """Write changes inside nested values of config and summary."""
        if not self.finished:
            self._config._look()
            self._summary._look()

    def _write_histograms(self, histograms: dict[str, dict[str, Any]]) -> None:
        with contextlib.suppress(RunFinishedError):  # Another thread has just finished the run.
            self._writer.write_histograms(histograms)

    def _check_running(self, call: str) -> None:
        if self.finished:
            raise RunFinishedError(self._id, call)


def _facts_of_follower(settings: Settings, name: str) -> dict[str, Any]:
    """Return what a rank above 0 says about the run; what rank 0 says replaces it in the store.

    They are in the event `start`, not in `run`: daemons of older releases ignore them there.
    """
    given = {fact: value for fact, value in given_facts(settings).items() if value is not None}
    facts: dict[str, Any] = {"facts": given} if given else {}
    return facts if settings.name else {**facts, "name": name, "name_is_made": True}


def _trial_of(run_id: str) -> "Trial | None":
    """Return the trial that the process runs, if this is its run."""
    if "STEPWELL_SWEEP_ID" not in os.environ:
        return None
    from stepwell._sweeps.trial import find_trial

    try:
        trial = find_trial()
    except SettingsError:
        return None  # This process has outlived its trial; `init` has reported it.
    return trial if trial is not None and trial.run_id == run_id else None


def attach(info: dict[str, Any], make: Callable[..., Run] = Run) -> Run:
    """Return the pickled run: the same object in its own process, else a new writer of the run."""
    found = _session.find(info["run_id"], info["copy_id"])
    if isinstance(found, Run):
        return found
    kept = {name: value for name, value in info["settings"].items() if name != "run_id"}
    settings = read_settings({}, kept, environ={})
    run = make(
        settings,
        run_id=info["run_id"],
        name=info["name"],
        label=child_label(info["label"], "process"),
        primary=False,
        rank=info["rank"],
        world_size=info["world_size"],
        remembered=None,
        known=None,
        voice=Voice(silent=settings.silent, follows=True),
        copy_id=info["copy_id"],
        files_dir=info["files_dir"],
    )
    run._show(info["shown"])
    run.config._recall(info["config"])
    _session.begin(run, make_current=_session.current() is None)
    run._recording.begin_sending()
    return run
