"""Waiting for versions of one name that this machine still commits, before one is used."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from stepwell._artifacts import asking
from stepwell.errors import (
    ArtifactFailedError,
    DaemonUnreachableError,
    RefusedError,
    WaitTimeoutError,
)

if TYPE_CHECKING:
    from stepwell._artifacts.handed import Handed
    from stepwell._artifacts.versions import ArtifactPath
    from stepwell._terminal import Voice

UNREACHED_SECONDS_MAX: Final = 60.0
_POLL_SECONDS_MIN: Final = 0.02
_POLL_SECONDS_MAX: Final = 1.0
_SAY_SECONDS: Final = 10.0
_WAITING: Final = "waiting"


class Awaited:
    """Drafts of one name: handed over by runs of this process, and others in the daemon."""

    def __init__(
        self, path: "ArtifactPath", handed: "Iterable[Handed]", *, socket: str, voice: "Voice"
    ) -> None:
        """
        Args:
            handed: drafts of this process; other names and daemons are left out.
        """
        self._path, self._socket, self._voice = path, socket, voice
        self._own = {
            each.key: each for each in handed if each.is_of(path.project, path.name, socket)
        }
        self._others: list[str] | None = None  # None: not asked yet.
        self._found_any = bool(self._own)
        self._heard_at = time.monotonic()

    def wait(self) -> bool:
        """Wait until no draft is left; return whether there was any.

        If no draft is known and no daemon answers, the hub may have the version.

        Raises:
            ArtifactFailedError: One of them cannot be made.
            WaitTimeoutError: The daemon that is to make one does not answer for a minute.
            RefusedError: It is of a release without artifacts.
        """
        delay, say_at = _POLL_SECONDS_MIN, time.monotonic() + _SAY_SECONDS
        while True:
            try:
                reason = self._look()
            except (DaemonUnreachableError, RefusedError) as error:
                if not self._keys:
                    return self._found_any
                reason = self._unreached(error)
                for each in self._own.values():
                    each.recording.want_daemon(hurry=False)
            if not self._keys:
                return self._found_any
            if time.monotonic() >= say_at:
                self._say(reason)
            time.sleep(delay)
            delay = min(_POLL_SECONDS_MAX, delay * 1.5)

    @property
    def _keys(self) -> list[str]:
        return [*self._own, *(self._others or ())]

    def _look(self) -> str:
        """Ask once, and drop finished drafts; return why the others wait, "" if unknown."""
        # Before the question: a draft that is taken after it would look unknown and gone.
        staged = {key for key, each in self._own.items() if each.is_staged}
        if self._others is None:
            named = asking.ask(self._socket, project=self._path.project, name=self._path.name)
            keys = (str(each["key"]) for each in named if each["state"] == _WAITING)
            self._others = [key for key in keys if key not in self._own]
            self._found_any = self._found_any or bool(self._others)
        states = asking.ask(self._socket, self._keys) if self._keys else []
        self._heard_at = time.monotonic()
        left = {str(each["key"]) for each in states if self._is_left(each, staged)}
        for key in [key for key in self._own if key not in left]:
            self._own.pop(key).forget()
        self._others = [key for key in self._others if key in left]
        return next((str(each["reason"]) for each in states if each["reason"]), "")

    def _is_left(self, state: dict[str, Any], staged: set[str]) -> bool:
        """Return whether a draft still has to be waited for."""
        key = str(state["key"])
        reason = str(state["reason"]) if state["state"] == "failed" else ""
        if state["state"] == "unknown" and key in staged:
            reason = self._own[key].refusal
        if reason:
            if key in self._own:
                self._own[key].forget()
            raise ArtifactFailedError(
                f"{self._path.project}/{self._path.name}: the version logged on this machine "
                f"failed: {reason}; name an existing version, such as {self._path.name}:v0, "
                "to use that one"
            )
        return state["state"] == _WAITING or (state["state"] == "unknown" and key in staged)

    def _unreached(self, error: DaemonUnreachableError | RefusedError) -> str:
        if isinstance(error, RefusedError):
            raise error
        seconds = time.monotonic() - self._heard_at
        if seconds >= UNREACHED_SECONDS_MAX:
            raise WaitTimeoutError(
                f"{self._path.project}/{self._path.name}: a newer version waits on this "
                f"machine, but its daemon has not answered for {seconds:.0f} s: {error}; "
                "start the daemon, or name a version such as :v3"
            ) from error
        return str(error)

    def _say(self, reason: str) -> None:
        why = f" ({reason})" if reason else ""
        self._voice.warn_once(
            f"waits for {self._path.name}",
            "use_artifact() waits until this machine's daemon has committed the versions of "
            f"{self._path.name} logged here{why}; `stepwell status` shows the progress",
        )
