"""An agent's link to its hub: it asks for trials, holds them by heartbeats, reports their ends."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple

from stepwell._hub import new_key
from stepwell._hub_client import Hub
from stepwell._sweeps.trial import Trial
from stepwell.errors import HubError
from stepwell_wire.commands import command_text

FINISHED: Final = "finished"
FAILED: Final = "failed"
CRASHED: Final = "crashed"
STOPPED: Final = "stopped"
PREEMPTED: Final = "preempted"
_ASK_PATIENCE_SECONDS: Final = 600.0
_END_PATIENCE_SECONDS: Final = 600.0
_BEAT_PATIENCE_SECONDS: Final = 0.0
_CLOSE_SECONDS: Final = 3.0
_WAIT_SECONDS: Final = (0.1, 60.0)


class Wait(NamedTuple):
    """There is no trial now, but there may be one later."""

    seconds: float
    reason: str = ""


class Exit(NamedTuple):
    """There will be no more trials for this agent."""

    reason: str


class AgentLink:
    """One agent of one sweep, from `open` to `close`. A separate thread sends the heartbeats.

    Args:
        kind: ``function`` or ``command``.
        on_stop: called with the reason when the held trial must end, on the thread of heartbeats.
        say: takes a line for the user.
    """

    def __init__(
        self,
        hub: Hub,
        sweep: Mapping[str, Any],
        *,
        kind: str,
        on_stop: Callable[[Trial, str], None],
        say: Callable[[str], None],
    ) -> None:
        self._hub, self._sweep, self._kind = hub, sweep, kind
        self._path = f"/sweeps/{sweep['id']}"
        self._on_stop, self._say = on_stop, say
        self._agent = ""
        self._beat_seconds = 5.0
        self._lock = threading.Lock()
        self._held: Trial | None = None
        self._is_paused = False  # The hub's last answer; the user was informed.
        self._is_silent = False  # The hub did not answer the last heartbeat.
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stepwell-beat", daemon=True)

    def open(self) -> None:
        """Register the agent and begin to send heartbeats.

        Raises:
            HubError: The hub knows no such sweep, or it is over.
            HubUnreachableError: The hub does not answer.
        """
        about = {
            "key": new_key(),
            "host": os.uname().nodename,
            "pid": os.getpid(),
            "kind": self._kind,
        }
        answer = self._hub.post(f"{self._path}/agents", about)
        self._agent = str(answer["agent"])
        self._beat_seconds = float(answer["beat_seconds"])
        self._thread.start()

    def close(self) -> None:
        """Stop sending heartbeats, and say to the hub that the agent ends."""
        self._closing.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(_CLOSE_SECONDS)

    def ask(self) -> Trial | Wait | Exit:
        """Return the next trial, which this agent then holds; without one, `Wait` or `Exit`.

        Raises:
            HubError: The hub refuses.
            HubUnreachableError: It did not answer for 10 minutes.
        """
        body = {"agent": self._agent, "key": new_key()}
        answer = self._hub.post(f"{self._path}/ask", body, patience_seconds=_ASK_PATIENCE_SECONDS)
        if answer["command"] == "exit":
            return Exit(str(answer.get("reason") or "the sweep has ended"))
        if answer["command"] == "wait":
            least, most = _WAIT_SECONDS
            reason = str(answer.get("reason") or "")
            self._report_pause(reason)
            return Wait(min(most, max(least, float(answer["seconds"]))), reason)
        self._is_paused = False
        given = answer["trial"]
        trial = Trial(
            sweep_id=str(self._sweep["id"]),
            number=int(given["number"]),
            fencing=int(given["fencing"]),
            run_id=str(given["run_id"]),
            project=str(self._sweep["project"]),
            params=dict(given["params"]),
        )
        with self._lock:
            self._held = trial
        return trial

    def _report_pause(self, reason: str) -> None:
        was_paused, self._is_paused = self._is_paused, "paused" in reason
        if self._is_paused and not was_paused:
            self._say(
                f"{reason}; this agent waits; resume the sweep with "
                + command_text("sweep", "--resume", self._sweep["id"])
            )

    def end(self, trial: Trial, state: str, exit_code: int | None = None) -> bool:
        """Report how a trial ended; return whether its result counts.

        Raises:
            HubError: The hub refuses.
            HubUnreachableError: It did not answer for 10 minutes.
        """
        body = {
            "agent": self._agent,
            "fencing": trial.fencing,
            "key": new_key(),
            "state": state,
            "exit_code": exit_code,
        }
        path = f"{self._path}/trials/{trial.number}/end"
        try:
            answer = self._hub.post(path, body, patience_seconds=_END_PATIENCE_SECONDS)
        finally:
            with self._lock:
                self._held = None
        is_counted = bool(answer.get("counted"))
        if not is_counted:
            self._say(
                f"trial {trial.number} (run {trial.run_id}) does not count: another agent "
                "got the trial, as this agent sent no heartbeat for too long"
            )
        return is_counted

    def beat(self) -> None:
        """Send a heartbeat now and handle the answer; an unreachable hub is not an error."""
        with self._lock:
            held = self._held
        trials = [{"number": held.number, "fencing": held.fencing}] if held else []
        body = {"agent": self._agent, "trials": trials}
        try:
            answer = self._hub.post(
                f"{self._path}/beat", body, patience_seconds=_BEAT_PATIENCE_SECONDS
            )
        except HubError as error:
            if not self._is_silent:
                self._is_silent = True
                self._say(f"the trial continues without the hub: {error}")
            return
        if self._is_silent:
            self._is_silent = False
            self._say("the hub answers again")
        for command in answer.get("commands", ()):
            if held is None or command.get("command") != "stop":
                continue
            if (command["number"], command["fencing"]) == (held.number, held.fencing):
                self._on_stop(held, str(command.get("reason") or "stopped"))

    def wait(self, seconds: float) -> None:
        """Pause between two requests."""
        time.sleep(seconds)

    def _run(self) -> None:
        while not self._closing.wait(self._beat_seconds):
            self.beat()
        body = {"agent": self._agent, "trials": [], "is_ending": True}
        # Without it the hub notices the end when the lease is over. An older hub refuses it.
        with suppress(HubError):
            self._hub.post(f"{self._path}/beat", body, patience_seconds=_BEAT_PATIENCE_SECONDS)
