"""`stepwell.sweep` and `stepwell.agent`."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from stepwell import _session
from stepwell._argument_names import checks_names
from stepwell._config_sources import line_of, load_file
from stepwell._hub import find_hub, new_key
from stepwell._hub_client import Hub
from stepwell._names import kind_of
from stepwell._page import sweep_address
from stepwell._settings import Default, read_settings
from stepwell._sweeps.command_mode import KILL_SECONDS, CommandAgent
from stepwell._sweeps.failures import failures_of
from stepwell._sweeps.function_mode import FunctionAgent
from stepwell._sweeps.link import AgentLink
from stepwell._sweeps.paths import parse_sweep_path
from stepwell._terminal import Voice
from stepwell.errors import HubError, SweepError, UsageError

_TRIALS_MAX: Final = 1000
"""Number of trials that are checked for missing values."""
_SETTLE_SECONDS: Final = 5.0
"""Longest wait for the values of finished trials. The values of a program that starts no run never
come."""
_SETTLE_ASK_SECONDS: Final = 0.1


@checks_names
def sweep(
    sweep: Any,
    entity: str | None = None,
    project: str | None = None,
    prior_runs: Iterable[str] | None = None,
) -> str:
    """Create a sweep in the hub and return its id.

    Args:
        sweep: the configuration: a dict, the path of a YAML or JSON file, or a function without
            arguments that returns a dict.
        entity: no effect: a hub has no entities.
        project: the project; default: that of the configuration, then ``STEPWELL_PROJECT``.
        prior_runs: not supported.

    Raises:
        SweepError: The configuration is invalid; the message names the field and the line.
        HubUnreachableError: No hub answers, or none is known.
    """
    return announce(create_sweep(sweep, project=project, prior_runs=prior_runs))


def announce(made: Mapping[str, Any]) -> str:
    """Print a new sweep's id and address as Weights & Biases does, and return the id."""
    print(f"Create sweep with ID: {made['id']}")
    print(f"Sweep URL: {made['url']}", flush=True)
    return str(made["id"])


def create_sweep(
    sweep: Any,
    *,
    project: str | None = None,
    prior_runs: Iterable[str] | None = None,
    name: str | None = None,
    defaults: Iterable[Default] = (),
) -> dict[str, Any]:
    """See `sweep`; return the hub's facts of the sweep, with its ``url``.

    Args:
        defaults: settings that count less than the environment.
    """
    config, text, where = read_sweep_config(sweep)
    voice = _voice(defaults)
    if prior_runs:
        raise UsageError(
            "sweep(prior_runs=…) is not available yet; a sweep uses only its own trials"
        )
    if name is not None:
        config["name"] = name
    wanted = read_settings({"project": project or config.get("project")}, defaults=defaults)
    hub = find_hub(say=voice.say)
    try:
        made = hub.post("/sweeps", {"project": wanted.project, "config": config, "key": new_key()})
    except HubError as error:
        if error.code != "sweep_invalid":
            raise
        line = line_of(text, error.field) if text and error.field else 0
        place = f"{where}, line {line}: " if line else f"{where}: " if where else ""
        raise SweepError(f"{place}{error}") from None
    return {**made, "url": sweep_address(hub.url, made["project"], made["id"])}


def read_sweep_config(given: Any) -> tuple[dict[str, Any], str, str]:
    """Return a sweep's configuration, and the text and the name of its file.

    Raises:
        SweepError: It is no configuration.
        SettingsError: The file cannot be read.
    """
    if isinstance(given, str | os.PathLike):
        path = os.fspath(given)
        loaded, text = load_file(path, what="sweep")
        return dict(loaded), "" if path.endswith(".json") else text, path
    if callable(given) and not isinstance(given, Mapping):
        given = given()
    if not isinstance(given, Mapping):
        raise SweepError(
            "sweep: expected a dict, a YAML or JSON file's path, or a function that returns a "
            f"dict, not {kind_of(given)}"
        )
    return dict(given), "", ""


@checks_names
def agent(
    sweep_id: str,
    function: Callable[[], Any] | None = None,
    entity: str | None = None,
    project: str | None = None,
    count: int | None = None,
    forward_signals: bool | None = None,
    term_timeout: float | None = None,
    max_consecutive_failed_runs: int | None = None,
) -> None:
    """Run trials of a sweep, one after the other, until it has no more.

    Args:
        sweep_id: ``ID``, ``PROJECT/ID`` or ``ENTITY/PROJECT/ID``.
        function: called without arguments for each trial, in this thread; its ``init`` starts the
            trial's run. None: the sweep's ``program`` or ``command`` is run as a process.
        entity: no effect: a hub has no entities.
        project: the sweep's project, if ``sweep_id`` does not contain it.
        count: largest number of trials of this agent; None or 0: all.
        forward_signals: no effect: the command always gets Ctrl-C.
        term_timeout: seconds that a command may take to end when it is stopped; default 30.
        max_consecutive_failed_runs: so many failures in a row end the agent.

    Raises:
        HubUnreachableError: No hub answers, or none is known.
        HubError: The hub knows no such sweep.
        UsageError: A malformed id, another project, or a command that cannot be run.
    """
    run_agent(
        sweep_id,
        function,
        project=project,
        count=count,
        term_timeout=term_timeout,
        max_consecutive_failed_runs=max_consecutive_failed_runs,
    )


def run_agent(
    sweep_id: str,
    function: Callable[[], Any] | None = None,
    *,
    project: str | None = None,
    count: int | None = None,
    term_timeout: float | None = None,
    max_consecutive_failed_runs: int | None = None,
    keeps_wandb: bool = False,
    defaults: Iterable[Default] = (),
) -> int:
    """See `agent`; return the exit code for a command.

    Returns:
        0; 1 if failures ended the agent or all of its trials failed; 128 plus the number of the
        signal if a signal ended it.
    """
    if function is not None and not callable(function):
        raise UsageError(f"agent(function=…): expected a function, not {kind_of(function)}")
    voice = _voice(defaults)
    path = parse_sweep_path(sweep_id)
    if (run := _session.current()) is not None and function is not None:
        voice.say(
            f"agent: run {run.id} was still running and is now finished, because each trial has "
            "its own run"
        )
        run.finish()
    hub = find_hub(say=voice.say)
    found = hub.get(f"/sweeps/{path.sweep_id}")
    _check_project(found, path.project or project)
    failures = failures_of(time.monotonic(), in_a_row_max=max_consecutive_failed_runs)
    worker: FunctionAgent | CommandAgent
    if function is not None:
        worker, kind = FunctionAgent(function, failures=failures, say=voice.say), "function"
    else:
        seconds = KILL_SECONDS if term_timeout is None else float(term_timeout)
        worker = CommandAgent(
            found["config"],
            failures=failures,
            say=voice.say,
            kill_seconds=seconds,
            keeps_wandb=keeps_wandb,
        )
        kind = "command"
    line = AgentLink(hub, found, kind=kind, on_stop=worker.on_stop, say=voice.say)
    line.open()
    try:
        worker.run(line, count)
    finally:
        line.close()
    _warn_missing_values(hub, found, voice)
    if isinstance(worker, CommandAgent) and worker.ended_by:
        return 128 + worker.ended_by
    return 1 if failures.is_failure else 0


def _warn_missing_values(hub: Hub, sweep: Mapping[str, Any], voice: Voice) -> None:
    """Wait for the values of finished trials, and print how many surely never logged the metric.

    The wait is also for the caller of `agent`, who may read the trials next.
    """
    if (metric := sweep.get("metric")) is None:
        return
    try:
        finished = _settled_trials(hub, sweep["id"])
    except HubError:
        return  # The line is only advice.
    ended = [each for each in finished if each["is_settled"] and not each.get("is_run_deleted")]
    without = sum(each["steps"] == 0 for each in ended)
    if without:
        voice.say(
            f"{without} of {len(ended)} finished trials have no value of the sweep's metric "
            f"{metric['name']!r}, so the search cannot use them; log this metric in each "
            "trial"
        )


def _settled_trials(hub: Hub, sweep_id: str) -> list[dict[str, Any]]:
    """Return the finished trials when the hub knows all their values, or after a time-out."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    path = f"/sweeps/{sweep_id}"
    while True:
        hub.get(path, look="true", patience_seconds=0.0)
        found = hub.get(f"{path}/trials", limit=_TRIALS_MAX, patience_seconds=0.0)["trials"]
        finished = [each for each in found if each["state"] == "finished"]
        if all(each["is_settled"] for each in finished) or time.monotonic() >= deadline:
            return finished
        time.sleep(_SETTLE_ASK_SECONDS)


def _check_project(sweep: Mapping[str, Any], wanted: str | None) -> None:
    if wanted and wanted != sweep["project"]:
        raise UsageError(
            f"sweep {sweep['id']} is in project {sweep['project']!r}, not in {wanted!r}"
        )


def get_sweep(hub: Hub, text: str) -> Mapping[str, Any]:
    """Return the sweep that ``text`` names.

    Raises:
        UsageError: A malformed name, or another project's.
        HubError: There is no such sweep.
    """
    path = parse_sweep_path(text)
    found: Mapping[str, Any] = hub.get(f"/sweeps/{path.sweep_id}")
    _check_project(found, path.project)
    return found


def _voice(defaults: Iterable[Default]) -> Voice:
    wanted = read_settings({}, defaults=defaults)
    return Voice(silent=wanted.silent)


def controller(
    sweep_id_or_config: Any = None, entity: str | None = None, project: str | None = None
) -> Any:
    """Not available: the hub controls each sweep.

    Raises:
        UsageError: always.
    """
    raise UsageError(
        "controller() is not supported: the hub chooses the trials of every sweep; call "
        "sweep(…) and run agents"
    )
