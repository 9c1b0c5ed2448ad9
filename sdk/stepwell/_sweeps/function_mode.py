"""An agent with a function: each trial is one call of it, in the thread that called `agent`."""

import os
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepwell import _session
from stepwell._console_streams import print_to_takers
from stepwell._ending import ending_of_error, status_of
from stepwell._sweeps import link, stopping
from stepwell._sweeps.failures import Failures
from stepwell._sweeps.link import AgentLink, Exit, Wait
from stepwell._sweeps.trial import Trial, variables_of, write_params
from stepwell._terminal import print_uncaptured
from stepwell.errors import TrialStopped
from stepwell_wire.exit_note import Ending

if TYPE_CHECKING:
    from stepwell._active_run import ActiveRun


class FunctionAgent:
    """Runs trials of one sweep by calling ``function``."""

    def __init__(
        self,
        function: Callable[[], Any],
        *,
        failures: Failures,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._function = function
        self._failures = failures
        self._say, self._clock = say, clock
        self._running: tuple[Trial, stopping.Stopper] | None = None

    def on_stop(self, trial: Trial, reason: str) -> None:
        """End ``trial`` if it is the current one; called on another thread."""
        running = self._running
        if running is not None and running[0] == trial:
            running[1].stop(reason)

    def run(self, line: AgentLink, count: int | None) -> None:
        """Run trials until the sweep has none, ``count`` were run, or too many fail."""
        done = 0
        while not count or done < count:
            answer = line.ask()
            if isinstance(answer, Exit):
                self._say(f"the agent ends: {answer.reason}")
                return
            if isinstance(answer, Wait):
                line.wait(answer.seconds)
                continue
            done += 1
            if reason := self._run_one(line, answer):
                self._say(reason)
                return

    def _run_one(self, line: AgentLink, trial: Trial) -> str:
        """Run one trial and report its end; return why the agent has to end, "" to continue."""
        announce(trial, self._say)
        error = self._call(trial)
        state = _state_of(error)
        if isinstance(error, TrialStopped):
            self._say(f"trial {trial.number} (run {trial.run_id}) was stopped: {error}")
        line.end(trial, state, None)
        if error is not None and state == link.PREEMPTED:
            raise error
        if state != link.FAILED:
            self._failures.note_success()
            return ""
        return self._failures.note_failure(self._clock())

    def _call(self, trial: Trial) -> BaseException | None:
        """Return the exception that ended the function, None if it returned."""
        found: BaseException | None = None
        with trial_in_environment(trial):
            stopper = stopping.begin()
            self._running = (trial, stopper)
            before = list(_session.active)
            try:
                try:
                    self._function()
                except BaseException as error:
                    found = error
                self._running = None
                stopping.end()
            except TrialStopped as error:  # It was raised after the function returned.
                found = found or error
                self._running = None
                stopping.end()
            if isinstance(found, TrialStopped) and not found.reason:
                found = TrialStopped(stopper.reason)  # Raised from another thread.
            if _state_of(found) == link.FAILED and found is not None:
                self._say(f"run {trial.run_id} failed: {type(found).__name__}: {found}")
                _print_error("".join(traceback.format_exception(found)))
            _finish_runs(found, [each for each in _session.active if each not in before])
        return found


def _state_of(error: BaseException | None) -> str:
    if error is None:
        return link.FINISHED
    if isinstance(error, TrialStopped):
        return link.STOPPED
    if isinstance(error, SystemExit):
        return link.FAILED if status_of(error.code) else link.FINISHED
    return link.FAILED if isinstance(error, Exception) else link.PREEMPTED


def _print_error(text: str) -> None:
    """Print an error on stderr and into the console of the runs, also if stderr takes no data."""
    print_uncaptured(text)
    print_to_takers("stderr", text)


def _finish_runs(error: BaseException | None, runs: Iterable["ActiveRun"]) -> None:
    """Finish the runs that the function began and left running."""
    stopped = isinstance(error, TrialStopped)
    for run in runs:
        run._finish(Ending("finished", 0) if stopped else ending_of_error(error))


def announce(trial: Trial, say: Callable[[str], None]) -> None:
    """Print the trial that starts, and its parameters."""
    say(f"Agent Starting Run: {trial.run_id} with config:")
    for name, value in trial.params.items():
        say(f"\t{name}: {value}")


@contextmanager
def trial_in_environment(trial: Trial) -> Iterator[None]:
    """Make this process, and processes that it starts, part of the trial."""
    with tempfile.TemporaryDirectory(prefix="stepwell-trial-") as folder:
        path = Path(folder) / "params.json"
        write_params(path, trial.params)
        given = variables_of(trial, path)
        before = {name: os.environ.get(name) for name in given}
        os.environ.update(given)
        try:
            yield
        finally:
            _restore(before)


def _restore(before: Mapping[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
