"""An agent that runs commands: each trial is a process in its own group, without stdin."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

from stepwell import wandb_compat
from stepwell._stop_notes import VARIABLE as STOP_NOTES
from stepwell._stop_notes import StopNotes
from stepwell._sweeps import link
from stepwell._sweeps.failures import Failures
from stepwell._sweeps.function_mode import announce
from stepwell._sweeps.link import AgentLink, Exit, Wait
from stepwell._sweeps.macros import build_command, check_command
from stepwell._sweeps.trial import Trial, variables_of, write_params

KILL_SECONDS: Final = 30.0
"""Time after which a child that was asked to end is killed."""
_GRACE_SECONDS: Final = 5.0
"""Time in which the ``log`` of a stopped trial can end it before a signal does."""
_POLL_SECONDS: Final = 0.1
_NOT_STARTED: Final = 127


class CommandAgent:
    """Runs trials of one sweep as processes, one at a time.

    Ctrl-C is passed on to the child, and the agent waits for its end; a second one ends the child
    as a stop does. SIGTERM ends it at once. In both cases the trial is given back.

    A stopped trial gets SIGTERM only after a grace: the daemon has informed its runs, and their
    ``log`` raises `TrialStopped`. A program without a run gets it at once.

    Args:
        keeps_wandb: programs import the `wandb` that is installed, not stepwell's.

    Raises:
        UsageError: The sweep's command cannot be run.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        failures: Failures,
        say: Callable[[str], None],
        kill_seconds: float = KILL_SECONDS,
        keeps_wandb: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._words = check_command(config)
        self._program = str(config.get("program") or "")
        self._failures = failures
        self._say, self._clock = say, clock
        self._kill_seconds = kill_seconds
        self._keeps_wandb = keeps_wandb
        self._hint = _other_python(self._words)
        self._trial: Trial | None = None
        self._stop_reason = ""
        self._is_stopped = False
        """Whether the stop reached the child; else the child ended by itself just before it."""
        self._woken = threading.Event()
        self._interrupts = 0  # Signals that ask this agent to end.
        self._terminates = False

    def on_stop(self, trial: Trial, reason: str) -> None:
        """End ``trial`` if it is the current one; called on another thread."""
        if self._trial == trial:
            self._stop_reason = self._stop_reason or reason
            self._woken.set()

    def run(self, line: AgentLink, count: int | None) -> None:
        """Run trials until the sweep has none, ``count`` were run, too many fail, or a signal."""
        done = 0
        with self._signals():
            while not self._is_ending and (not count or done < count):
                answer = line.ask()
                if isinstance(answer, Exit):
                    self._say(f"the agent ends: {answer.reason}")
                    return
                if isinstance(answer, Wait):
                    self._woken.wait(answer.seconds)
                    continue
                done += 1
                if reason := self._run_one(line, answer):
                    self._say(reason)
                    return

    @property
    def ended_by(self) -> int:
        """The signal that ended this agent, 0 without one."""
        if self._terminates:
            return signal.SIGTERM
        return signal.SIGINT if self._interrupts else 0

    @property
    def _is_ending(self) -> bool:
        return self._interrupts > 0 or self._terminates

    def _run_one(self, line: AgentLink, trial: Trial) -> str:
        """Run one trial and report its end; return why the agent has to end, "" to continue."""
        announce(trial, self._say)
        self._stop_reason, self._is_stopped = "", False
        self._trial = trial
        code = self._execute(trial)
        line.beat()  # The trainer may have got the stop first.
        self._trial = None
        state = self._state_of(code)
        if state == link.STOPPED:
            self._say(f"trial {trial.number} (run {trial.run_id}) was stopped: {self._stop_reason}")
        elif code:
            self._say(f"run {trial.run_id} ended with {_code_text(code)}")
            if self._hint:
                self._say(self._hint)
                self._hint = ""  # Once is enough.
        line.end(trial, state, code if code >= 0 else 128 - code)
        if state not in (link.FAILED, link.CRASHED):
            self._failures.note_success()
            return ""
        return self._failures.note_failure(self._clock())

    def _state_of(self, code: int) -> str:
        if self._stop_reason and (code or self._is_stopped):
            return link.STOPPED
        if code == 0:
            return link.FINISHED
        if self._is_ending:
            return link.PREEMPTED
        return link.CRASHED if code < 0 else link.FAILED

    def _execute(self, trial: Trial) -> int:
        """Return the child's exit status; a negative one is the signal that ended it."""
        with tempfile.TemporaryDirectory(prefix="stepwell-trial-") as folder:
            params_file = Path(folder) / "params.json"
            write_params(params_file, trial.params)
            plain_file = Path(folder) / "args.json"
            plain_file.write_text(json.dumps(trial.params))
            notes = StopNotes(Path(folder) / "runs")
            command = build_command(
                self._words,
                trial.params,
                program=self._program,
                interpreter=_interpreter(),
                environ=os.environ,
                json_file=str(plain_file),
            )
            try:
                child = subprocess.Popen(
                    command,
                    env=self._environment(trial, params_file, notes),
                    stdin=subprocess.DEVNULL,
                    process_group=0,
                )
            except OSError as error:
                self._say(f"{command[0]}: {error.strerror or error}")
                return _NOT_STARTED
            return self._watch(child, notes)

    def _environment(self, trial: Trial, params_file: Path, notes: StopNotes) -> dict[str, str]:
        environ = {**os.environ, **variables_of(trial, params_file)}
        environ[STOP_NOTES] = str(notes.path)
        if self._keeps_wandb:
            wandb_compat.remove(environ)
        else:
            wandb_compat.put_in_front(environ)
        return environ

    def _watch(self, child: "subprocess.Popen[bytes]", notes: StopNotes) -> int:
        """Wait for the child's end; end the child if the trial, or this agent, must end."""
        forwarded = 0
        stop_at: float | None = None
        kill_at: float | None = None
        is_killed = False
        while (code := child.poll()) is None:
            if forwarded < self._interrupts and kill_at is None:
                forwarded = self._interrupts
                _signal_group(child, signal.SIGINT)
            if self._stop_reason and stop_at is None:
                stop_at = self._clock() + (_GRACE_SECONDS if notes.has_runs else 0.0)
            is_stopped = stop_at is not None and self._clock() >= stop_at
            must_end = is_stopped or self._terminates or self._interrupts > 1
            if must_end and kill_at is None:
                if self._stop_reason:
                    self._is_stopped = True
                    notes.mark()
                _signal_group(child, signal.SIGTERM)
                kill_at = self._clock() + self._kill_seconds
            if kill_at is not None and not is_killed and self._clock() >= kill_at:
                _signal_group(child, signal.SIGKILL)
                is_killed = True
            self._woken.clear()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_POLL_SECONDS)
        if kill_at is not None:
            _signal_group(child, signal.SIGKILL)  # The rest of its group.
        self._is_stopped |= notes.is_met or not notes.has_runs
        return code

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Let Ctrl-C and SIGTERM end the child, then this agent; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        signal.signal(signal.SIGINT, self._on_interrupt)
        signal.signal(signal.SIGTERM, self._on_terminate)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        self._interrupts += 1
        self._woken.set()
        if self._trial is None:
            raise KeyboardInterrupt

    def _on_terminate(self, number: int, frame: FrameType | None) -> None:
        self._terminates = True
        self._woken.set()
        if self._trial is None:
            raise SystemExit(128 + number)


def _signal_group(child: "subprocess.Popen[bytes]", number: int) -> None:
    # The group outlives its leader, so its id cannot be that of another group yet.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


def _interpreter(which: Callable[[str], str | None] = shutil.which) -> str:
    """Return the value of ${interpreter}: ``python`` if there is one, else this Python."""
    return "python" if which("python") else sys.executable


def _other_python(words: Sequence[str], which: Callable[[str], str | None] = shutil.which) -> str:
    """Return a hint after a failure if programs run in another Python than the agent."""
    found = which("python")
    if "${interpreter}" not in words or found is None:
        return ""
    if Path(found).parent.resolve() == Path(sys.executable).parent.resolve():
        return ""
    return (
        f"programs run with {found}, the first `python` in PATH, but this agent runs with "
        f"{sys.executable}; to use that one, activate its environment or begin the sweep's "
        "`command` with it"
    )


def _code_text(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
