"""A draft that a run handed over: its place, and the wait for its version."""

import contextlib
import os
import time
from typing import Final, NamedTuple, Protocol

from stepwell._artifacts.asking import ask
from stepwell._artifacts.versions import VersionFacts, facts_of
from stepwell._settings import Settings
from stepwell._terminal import Voice
from stepwell._writer import Writer
from stepwell.errors import (
    ArtifactFailedError,
    ArtifactNotLoggedError,
    DaemonUnreachableError,
    WaitTimeoutError,
)
from stepwell_wire.drafts import folder_name

POLL_SECONDS_MIN: Final = 0.01
_POLL_SECONDS_MAX: Final = 0.5
_SAY_SECONDS: Final = 10.0


class Giver(Protocol):
    """The recording that handed a draft over, as far as the draft needs it."""

    settings: Settings
    voice: Voice
    writer: Writer
    handed: "list[Handed]"

    def refusal_of(self, name: str) -> str: ...
    def want_daemon(self, *, hurry: bool) -> None: ...


class Handed(NamedTuple):
    """A draft that was handed over; one of a disabled run has no key, and a stand-in at once."""

    key: str
    name: str
    recording: Giver
    stand_in: VersionFacts | None = None

    @property
    def is_staged(self) -> bool:
        """Whether it is still beside the journal: the daemon may not know it yet."""
        stager = self.recording.writer.stager
        return stager is not None and os.path.isdir(stager.folder / folder_name(self.key))

    @property
    def refusal(self) -> str:
        """Why it is refused, as far as this process knows; else ""."""
        return self.recording.refusal_of(folder_name(self.key))

    def is_of(self, project: str, name: str, socket: str) -> bool:
        """Return whether it will be a version of ``project/name``, made by that daemon."""
        settings = self.recording.settings
        named = (settings.project, self.name, settings.socket)
        return named == (project, name, socket) and settings.mode != "offline"

    def forget(self) -> None:
        """Note that its result is known, so that the run no longer waits for it."""
        with contextlib.suppress(ValueError):
            self.recording.handed.remove(self)

    def wait(self, timeout: float | None) -> VersionFacts:
        """See `Artifact.wait`."""
        recording = self.recording
        if self.stand_in is not None:
            return self.stand_in
        if recording.settings.mode == "offline":
            raise ArtifactNotLoggedError(
                f"artifact {self.name!r} waits with its offline run; `stepwell sync` sends "
                "both, then its version is created"
            )
        deadline = None if timeout is None else time.monotonic() + timeout
        delay = POLL_SECONDS_MIN
        say_at = time.monotonic() + _SAY_SECONDS
        has_hurried = False
        while True:
            problem = ""
            is_reached = True
            try:
                found = ask(recording.settings.socket, [self.key])
            except DaemonUnreachableError as error:
                found, problem, is_reached = [], str(error), False
                recording.want_daemon(hurry=not has_hurried)
                has_hurried = True
            if found and found[0]["state"] == "committed":
                self.forget()
                return facts_of(found[0]["version"])
            if found and found[0]["state"] == "failed":
                self.forget()
                raise ArtifactFailedError(f"artifact {self.name!r}: {found[0]['reason']}")
            is_known = bool(found) and found[0]["state"] != "unknown"
            if not is_known and (refusal := self.refusal):
                self.forget()
                raise ArtifactFailedError(f"artifact {self.name!r}: {refusal}")
            problem = problem or (str(found[0]["reason"]) if found else "")
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                why = f": {problem}" if problem else ""
                goes_on = "the daemon continues, `stepwell status` shows the progress"
                raise WaitTimeoutError(
                    f"artifact {self.name!r} is not committed after {timeout:g} s{why}; "
                    + (goes_on if is_reached else "it is kept on disk, and the next daemon goes on")
                )
            if problem and now >= say_at:
                recording.voice.warn_once(
                    f"artifact {self.key}", f"artifact {self.name!r} waits: {problem}"
                )
            time.sleep(delay if deadline is None else min(delay, max(0.0, deadline - now)))
            delay = min(_POLL_SECONDS_MAX, delay * 1.5)
