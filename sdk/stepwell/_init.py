"""`init`: from arguments and environment to a running `Run`, without waiting for anything."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stepwell import _notebook, _session
from stepwell._config_sources import parse_config
from stepwell._facts import facts_that_fit
from stepwell._identity import display_name, new_run_id, run_id_from
from stepwell._later import warn_unavailable
from stepwell._memory import Memory, Remembered
from stepwell._other_trackers import check_arguments
from stepwell._ranks import Place, Restart, find_launch, find_place, find_restart, is_elastic
from stepwell._run import Run
from stepwell._settings import VARIABLES, Default, Settings, read_settings
from stepwell._terminal import OF_ALL, Voice
from stepwell.errors import ResumeError, SettingsError
from stepwell_wire.commands import command_text
from stepwell_wire.limits import STEP_MAX

if TYPE_CHECKING:
    from stepwell._sweeps.joining import Joining


def start_run(
    arguments: dict[str, Any],
    *,
    config: Any,
    include: Iterable[str] | None,
    exclude: Iterable[str] | None,
    settings: object,
    others: Mapping[str, Any],
    known: Iterable[str],
    allow_val_change: bool | None = None,
    branch: tuple[str, str] | None = None,
    defaults: Iterable[Default] | None = None,
    files_parent: Path | None = None,
    make: Callable[..., Run] = Run,
) -> Run:
    """See `stepwell.init`; ``arguments`` are named as in `Settings`.

    Args:
        others: arguments that mean nothing here, or are mistakes; ``known`` are those that do.
        branch: ``fork_from`` or ``resume_from``, and what it says.
        defaults: settings that count less than the environment: what Weights & Biases' variables
            say to a script for it, None for a script for stepwell.
        files_parent: the folder in which the folder of `run.dir` is made.
        make: makes the run; takes what `Run` takes.
    """
    voice = Voice()
    late: list[tuple[str, str]] = []  # Said once it is known whether anything is to be said.
    variables = {name: variable for variable, name in VARIABLES.items()}
    check_arguments(
        others, known, lambda kind, text: late.append((kind, text)), variables=variables
    )
    # False is said too: no resume.
    says_resume = arguments.get("resume") is not None or bool(os.environ.get("STEPWELL_RESUME"))
    from_step = 0
    if branch is not None:
        from_step, more = _read_branch(*branch)
        arguments = {**arguments, **more}
    read = partial(read_settings, extra=settings, shared=_session.shared_settings, voice=voice)
    known_defaults = tuple(defaults or ())
    joining = _join_trial(
        arguments, known_defaults, read, lambda kind, text: late.append((kind, text))
    )
    if joining is None:
        wanted = read(arguments, defaults=known_defaults)
    else:
        arguments, wanted = joining.arguments, joining.settings
    voice.silent = wanted.silent or wanted.mode == "disabled"
    wanted = facts_that_fit(wanted, voice.warn_once)
    if defaults is None and not wanted.quiet:
        _warn_wandb_variables(voice)
    if joining is not None and joining.is_left and not wanted.quiet:
        _report_left_trial(voice)
    before = _session.current()
    if isinstance(before, Run) and _is_left_to_parent(before, wanted):
        _session.bind(None)  # Not ended: code that holds it may still log into it.
        before = None
    given_here = {**arguments, "config": _shown_config(config)}
    if isinstance(before, Run) and (label := _label_beside_parent(before, wanted)):
        wanted = wanted._replace(label=label, primary=bool(wanted.primary))
        if not wanted.primary:
            _report_ignored_beside_parent(before, wanted, given_here, voice)
        _session.bind(None)
        before = None
    if isinstance(before, Run) and _keeps_run(before, wanted, given_here, voice):
        return before
    given = parse_config(config, include=include, exclude=exclude)
    place = _choose_place(wanted, voice)
    has_id = wanted.run_id is not None or place.run_id is not None
    if wanted.resume == "must" and not has_id and wanted.mode != "disabled":
        raise ResumeError(
            'resume="must": no run id; pass init(id=…) or set STEPWELL_RUN_ID, or pass '
            'resume="auto" to continue the last run of this project on this machine if it '
            "did not finish"
        )
    primary = place.is_primary if wanted.primary is None else wanted.primary
    voice.follows = not primary
    for kind, text in late:
        voice.warn_once(kind, text)
    restart = None
    if wanted.mode != "disabled":
        restart = find_restart(names_run=wanted.run_id is not None)
    continues = restart is not None and has_id and not says_resume and wanted.resume is None
    if continues:
        wanted = wanted._replace(resume="allow")
    memory = Memory(wanted.journals_dir, wanted.project)
    wanted = _without_auto(wanted, place, memory, voice)
    run_id = _choose_run_id(wanted, place, memory, restart)
    label = _choose_label(wanted, place, primary=primary)
    has_peers = place.rank >= 0 or wanted.mode == "shared" or wanted.label is not None
    try:
        remembered = _recall(wanted, memory, run_id, label, has_peers=has_peers, primary=primary)
    except ResumeError:
        memory.close()
        raise
    if primary and has_id and _joins_without_resume(wanted) and memory.knows(run_id):
        voice.warn_once("run exists", _text_of_known_run(wanted, run_id, joining))
    if wanted.resume == "auto" and wanted.mode != "disabled":
        is_new = primary and not has_id and not wanted.quiet
        if is_new and (last := memory.run_without_auto()):
            voice.say(
                'init(resume="auto"): no run of this project was started with it before, so this '
                f'is a new run; to continue the last one, pass id="{last}", resume="allow"'
            )
        memory.set_auto_run_id(run_id)
    if branch is not None:
        warn_unavailable(branch[0], f"init({branch[0]}=…)", voice.warn_once)
        remembered = remembered or Remembered(run_id)
        remembered.next_step = max(remembered.next_step, from_step)
    if not label and wanted.mode != "disabled" and not memory.hold(run_id):
        label = _label_beside_another(wanted, run_id, joining, voice)
    joined = _joined(wanted, memory, run_id) if label and place.rank < 0 else None
    if joined is not None:  # Name, command, git and host are those of the process that began it.
        wanted = wanted._replace(metadata=False)
    if restart is not None and primary and not wanted.quiet:
        if continues:
            _report_restart(restart, run_id, remembered, voice)
        elif not has_id and place.rank < 0 and wanted.resume is None:
            _report_new_run(restart, voice)
    noted = joined or _known(wanted, memory, run_id, has_id=has_id)
    try:
        run = make(
            wanted,
            run_id=run_id,
            name=_choose_name(wanted, remembered or noted, run_id),
            label=label,
            primary=primary,
            rank=place.rank,
            world_size=place.world_size,
            remembered=remembered,
            known=noted,
            voice=voice,
            memory=memory,
            files_parent=files_parent,
            follows_rank_0=place.rank > 0 and wanted.primary is None,
            restart_mark=0 if restart is None else restart.mark,
            is_restarted_by_launcher=continues,
        )
    except BaseException:
        memory.close()
        raise
    _session.begin(run, make_current=wanted.reinit != "create_new" or before is None)
    run._start(
        given,
        allow_val_change=_notebook.is_kernel() if allow_val_change is None else allow_val_change,
    )
    if joining is not None and wanted.mode != "disabled":
        joining.note_begun(run_id)
    return run


def _report_left_trial(voice: Voice) -> None:
    if _session.is_first("left trial"):
        voice.say(
            "init: begins a run beside the run of the sweep's trial, as this process has not the "
            "WANDB_RUN_ID and STEPWELL_RUN_ID of the agent"
        )


def _warn_wandb_variables(voice: Voice) -> None:
    """Say once a process which variables of Weights & Biases are set and have no effect here.

    Where the real wandb is imported beside stepwell they are its own; an agent sets some in trials.
    """
    if "wandb" in sys.modules or "STEPWELL_SWEEP_ID" in os.environ:
        return
    if not any(name.startswith("WANDB_") for name in os.environ):
        return
    from stepwell.wandb_compat._environment import set_variables

    names = set_variables(os.environ)
    if not names or not _session.is_first("wandb variables"):
        return
    have_no = "is set but has no" if len(names) == 1 else "are set but have no"
    voice.warn_once(
        OF_ALL + "wandb variables",
        f"init: {', '.join(names)} {have_no} effect on a script with `import stepwell`; set "
        "STEPWELL_* variables such as STEPWELL_PROJECT, or keep `import wandb` in the "
        'script and start it with `stepwell run`. init(settings={"quiet": True}) or '
        "STEPWELL_QUIET=1 hides this warning",
    )


def _join_trial(*arguments: Any) -> "Joining | None":
    """See `join`. No sweep: its modules are not imported."""
    if "STEPWELL_SWEEP_ID" not in os.environ:
        return None
    from stepwell._sweeps.joining import join

    return join(*arguments)


_STEP_DIGITS_MAX: Final = 1000  # Python converts no more than 4300.


def _read_branch(how: str, text: str) -> tuple[int, dict[str, Any]]:
    """Return the step after that of ``RUN_ID?_step=N`` and what it says of the settings.

    Raises:
        SettingsError: Not of this form.
    """
    run_id, _, step = text.partition("?_step=")
    if not run_id or not step.isdecimal():
        raise SettingsError(f"init({how}={text!r}): expected RUN_ID?_step=NUMBER")
    if len(step) > _STEP_DIGITS_MAX or int(step) > STEP_MAX:
        raise SettingsError(f"init({how}={text!r}): the largest step is 2**62")
    more = {"run_id": run_id, "resume": "allow"} if how == "resume_from" else {}
    return int(step) + 1, more


_OF_A_RUN: Final = ("project", "name", "group", "job_type", "tags", "notes", "config")
_OF_A_WRITER: Final = ("label", "primary")


def _shown_config(config: Any) -> Any:
    """Return ``config`` for a comparison with that of a run; None without values."""
    if config is None or isinstance(config, Mapping):
        return config or None
    return True  # Of another kind: it counts as different.


def _ignored_facts(before: Run, arguments: Mapping[str, Any]) -> list[str]:
    """Return the names of the facts among ``arguments`` that ``before`` has other values of."""
    return [
        name
        for name in _OF_A_RUN
        if arguments.get(name) is not None and arguments[name] != getattr(before, name, None)
    ]


def _keeps_run(before: Run, wanted: Settings, arguments: Mapping[str, Any], voice: Voice) -> bool:
    """Return whether `init` returns the run that is still running; it may finish that run.

    Args:
        arguments: those of the call itself.
    """
    said = ""
    reinit = wanted.reinit
    if reinit == "default" and _notebook.is_kernel():
        reinit = "finish_previous"  # A cell that is run again begins a run again.
    if is_another := _names_other_run(wanted, before, run_id=arguments.get("run_id")):
        said = (
            f"was still running and is now finished, because run {wanted.run_id} starts; "
            'pass reinit="create_new" to have both'
        )
    elif reinit == "default":
        said = (
            "is still running, so init() returns it; for a new run call finish() first, or "
            'pass reinit="finish_previous" or "create_new"'
        )
        ignored = _ignored_facts(before, arguments)
        if arguments.get("mode") is not None and wanted.mode != before.mode:
            ignored.append("mode")
        for name in _OF_A_WRITER:
            if getattr(wanted, name) not in (None, getattr(before.settings, name)):
                ignored.append(name)
        if ignored:
            said += f". Ignored in this call: {', '.join(ignored)}"
    if said and not wanted.quiet:
        voice.say(f"init: run {before.id} {said}")
    if is_another or reinit == "finish_previous":
        before.finish()
        return False
    return reinit in ("default", "return_previous")


def _is_left_to_parent(before: Run, wanted: Settings) -> bool:
    """Whether ``before`` came into this process by a fork, and this `init` begins its own run.

    A child that logged into it, or that names it, goes on with it. ``resume="auto"`` names it: it
    is the last run that did not end.
    """
    is_named = wanted.run_id == before.id or (wanted.run_id is None and wanted.resume == "auto")
    is_same = is_named and wanted.project == before.project
    return before._recording.is_of_parent and not is_same and wanted.reinit != "return_previous"


def _label_beside_parent(before: Run, wanted: Settings) -> str:
    """Return the own label of a forked child that names the run of its parent; "" without one.

    It joins that run as a spawned child does: as a writer of its own with that label. A child
    without one goes on with the run object, whose writer has the parent's label and its own pid.
    """
    is_named = (wanted.project, wanted.run_id) == (before.project, before.id)
    if not before._recording.is_of_parent or not is_named or wanted.reinit != "default":
        return ""
    label = _choose_label(wanted, find_place(), primary=bool(wanted.primary))
    return label if label != before.label and wanted.mode != "disabled" else ""


def _report_ignored_beside_parent(
    before: Run, wanted: Settings, arguments: Mapping[str, Any], voice: Voice
) -> None:
    ignored = [name for name in _ignored_facts(before, arguments) if name != "config"]
    if ignored and not wanted.quiet:
        voice.say(
            f"init: this process joins run {before.id} of its parent with the label "
            f"{wanted.label}. Ignored in this call: {', '.join(ignored)}"
        )


def _choose_name(wanted: Settings, remembered: Remembered | None, run_id: str) -> str:
    """Return the name of the run: the given one, unless it is that of last time, see `_start`."""
    if remembered is not None and wanted.name in (None, remembered.about.get("name")):
        return remembered.name or display_name(run_id)
    if wanted.name:
        return wanted.name
    return f"dummy-{run_id}" if wanted.mode == "disabled" else display_name(run_id)


def _joined(wanted: Settings, memory: Memory, run_id: str) -> Remembered | None:
    """Return what this machine knows of a run that a process with a label joins, else None."""
    is_own = wanted.mode == "disabled" or wanted.primary is not None or wanted.resume
    return None if is_own else memory.facts_of(run_id)


def _choose_place(wanted: Settings, voice: Voice) -> Place:
    """Return this process's place; a rank whose job nothing names has a run of its own.

    So has a forked child of a rank: what it starts is no run of the job that other ranks start too.
    """
    place = Place() if wanted.mode == "disabled" else find_place()
    names_run = wanted.run_id is not None or wanted.mode == "shared" or wanted.primary is not None
    if place.rank in _session.parent_ranks and not names_run:
        return Place()
    if place.rank < 0 or place.run_id is not None or names_run:
        return place
    if place.rank == 0:  # Once a job.
        voice.warn_once(
            "job without a name",
            f"init: this is rank 0 of {place.world_size}, but the launcher set no id of the "
            "job, so each rank gets a separate run; for one run set STEPWELL_RUN_ID to the "
            "same new value for all ranks, or start torchrun with --rdzv-id",
        )
    return Place()


def _choose_run_id(wanted: Settings, place: Place, memory: Memory, restart: Restart | None) -> str:
    if wanted.run_id is not None:
        return wanted.run_id
    if wanted.resume == "auto" and (held := memory.auto_run_id()):
        return held
    if place.run_id is None:
        return new_run_id()
    # The launcher names the job; a job may have several runs, such as the folds of a validation,
    # and its processes start them in the same order.
    turn = _session.count_of_job_run()
    if not is_elastic():
        turn = memory.turn_of_job(
            place.run_id,
            place.label,
            turn,
            restart=0 if restart is None else restart.number,
            continues=restart is None and wanted.resume not in (None, "never"),
        )
    return place.run_id if turn == 0 else run_id_from(f"{place.run_id} run {turn}")


def _choose_label(wanted: Settings, place: Place, *, primary: bool) -> str:
    if wanted.label is not None:
        return wanted.label
    if place.rank < 0 and wanted.mode == "shared" and not primary:
        import socket

        return f"{socket.gethostname()[:64]}-{os.getpid()}"
    return place.label


def _label_beside_another(
    wanted: Settings, run_id: str, joining: "Joining | None", voice: Voice
) -> str:
    """Return the label of a process that joins a run in which another one is at work here."""
    label = f"process-{os.getpid()}"
    if wanted.mode != "shared":
        voice.warn_once(
            "run at work",
            f"init: another process of this machine is logging into run {run_id}; this "
            f"process uses the label {label}"
            + (joining.hint if joining is not None and joining.is_own(run_id) else ""),
        )
    return label


def _report_restart(
    restart: Restart, run_id: str, remembered: Remembered | None, voice: Voice
) -> None:
    """Say where the run continues; of a process's later runs, only those that continue."""
    is_first = _session.is_first("restart") and "STEPWELL_SWEEP_ID" not in os.environ
    said = f"init: restart {restart.number} of the job ({restart.variable}): "
    if remembered is not None:
        voice.say(f"{said}run {run_id} continues at step {remembered.next_step}")
    elif is_first:
        voice.say(
            f"{said}this machine does not know run {run_id}, so its steps begin at 0 here; to "
            "continue the earlier ones, pass step= to log"
        )


def _report_new_run(restart: Restart, voice: Voice) -> None:
    """Say that a restart of a job of one process is a new run, and how it is not."""
    if _session.is_first("restart") and "STEPWELL_SWEEP_ID" not in os.environ:
        voice.say(
            f"init: restart {restart.number} of the job ({restart.variable}): this is a new run, "
            "as the job has one process and the run no id; to continue one run over restarts, set "
            "STEPWELL_RUN_ID, for example to $SLURM_JOB_ID"
        )


def _text_of_known_run(wanted: Settings, run_id: str, joining: "Joining | None") -> str:
    continued = 'pass resume="allow" to continue after its last step'
    if joining is not None and joining.is_own(run_id):
        return (
            f"init: the run of this trial, {run_id}, exists, new rows are added to it from step 0 "
            f"on; {continued}{joining.hint}"
        )
    return (
        f"init: run {run_id} of project {wanted.project} exists, new rows are added to it from "
        f"step 0 on; {continued}, pass another id for a new run, or delete it first with "
        + command_text("rm", f"{wanted.project}/{run_id}")
    )


def _known(wanted: Settings, memory: Memory, run_id: str, *, has_id: bool) -> Remembered | None:
    """Return what this machine knows of a run that new rows are added to without ``resume``."""
    if not has_id or not _joins_without_resume(wanted):
        return None
    return memory.facts_of(run_id)


def _without_auto(wanted: Settings, place: Place, memory: Memory, voice: Voice) -> Settings:
    """Return the settings, without ``resume="auto"`` where the last run is still at work.

    Ranks of one job go on with the same run.
    """
    if wanted.resume != "auto" or wanted.run_id is not None or wanted.mode == "disabled":
        return wanted
    held = memory.auto_run_id()
    if held is None or place.rank >= 0 or memory.hold(held):
        return wanted
    voice.warn_once(
        "auto at work",
        f'init(resume="auto"): run {held} is still running in another process; this process '
        "starts a new run",
    )
    return wanted._replace(resume=None)


def _names_other_run(wanted: Settings, before: Run, *, run_id: object) -> bool:
    """Return whether the call names a run other than ``before``, and gives no ``reinit``.

    An id of the environment names none: it is the same for each `init` of a script. In another
    project the same id is another run.
    """
    if wanted.reinit != "default" or run_id is None:
        return False
    return (wanted.project, wanted.run_id) != (before.project, before.id)


def _joins_without_resume(wanted: Settings) -> bool:
    """Return whether no ``resume`` is given, in the mode online or offline."""
    return wanted.resume is None and wanted.mode not in ("disabled", "shared")


def _recall(
    wanted: Settings, memory: Memory, run_id: str, label: str, *, has_peers: bool, primary: bool
) -> Remembered | None:
    """Return what a resumed run goes on from, None for a fresh one.

    Raises:
        ResumeError: ``must`` and this machine knows no such run, or ``never`` and it does.
    """
    if wanted.resume is None or wanted.mode == "disabled":
        return None
    if has_peers and wanted.resume != "never":
        is_needed = wanted.resume == "must"
        held = memory.recall_with_peers(run_id, find_launch(), label, is_needed=is_needed)
    else:
        held = memory.recall(run_id)
    if wanted.resume == "must" and held is None:
        raise ResumeError(
            f'resume="must": run {run_id} of project {wanted.project} is unknown on this '
            f'machine (searched {wanted.journals_dir}); pass resume="allow" to start it if '
            "it does not exist"
        )
    if wanted.resume == "never":
        if held is not None and primary:
            raise ResumeError(
                f'resume="never": run {run_id} of project {wanted.project} exists; choose '
                'another id, or pass resume="allow" to continue it'
            )
        return None
    return held
