"""Handing over: what `run.log_artifact` does, and how its version is waited for.

The files are held already. What is left is one small file and one rename, into the run's journal;
from then on the draft goes the way of staged media (`_blob_sender.py`). The daemon commits it.
"""

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stepwell._artifacts.asking import ask
from stepwell._artifacts.hold_folder import copy_folder
from stepwell._artifacts.versions import VersionFacts, facts_of
from stepwell._names import silent
from stepwell.errors import (
    ArtifactError,
    ArtifactFailedError,
    ArtifactNotLoggedError,
    DaemonUnreachableError,
    RefusedError,
    RunFinishedError,
    WaitTimeoutError,
)
from stepwell_wire.artifact_names import LATEST
from stepwell_wire.drafts import DRAFT_FILE, Draft, check_draft, folder_name
from stepwell_wire.errors import ArtifactNameError
from stepwell_wire.staged import new_id

if TYPE_CHECKING:
    from stepwell._artifacts.artifact import Artifact
    from stepwell._recording import Recording
    from stepwell._staging import Stager

_POLL_SECONDS_MIN: Final = 0.01
_POLL_SECONDS_MAX: Final = 0.5
_SAY_SECONDS: Final = 10.0
_ASKED_MAX: Final = 1000
_OUTCOME_SECONDS: Final = 1.0


class Handed(NamedTuple):
    """A draft on its way; one of a disabled run has no key."""

    key: str
    name: str
    recording: "Recording"

    @property
    def is_staged(self) -> bool:
        """Whether it is still beside the journal, so that the daemon need not know it."""
        stager = self.recording.writer.stager
        return stager is not None and os.path.isdir(stager.folder / folder_name(self.key))

    @property
    def refusal(self) -> str:
        """Why it is not taken, as far as this process knows; else ""."""
        return self.recording.refusal_of(folder_name(self.key))

    def is_of(self, project: str, name: str, socket: str) -> bool:
        """Return whether it is to be a version of ``project/name``, made by that daemon."""
        settings = self.recording.settings
        named = (settings.project, self.name, settings.socket)
        return named == (project, name, socket) and settings.mode != "offline"

    def forget(self) -> None:
        """Note that it is waited for no longer: it is known what became of it."""
        with contextlib.suppress(ValueError):
            self.recording.handed.remove(self)

    def wait(self, timeout: float | None) -> VersionFacts | None:
        """See `Artifact.wait`; None where the run is disabled."""
        recording = self.recording
        if recording.disabled:
            return None
        if recording.settings.mode == "offline":
            raise ArtifactNotLoggedError(
                f"artifact {self.name!r} waits with its offline run; `stepwell sync` sends both, "
                "and the version is made then"
            )
        deadline = None if timeout is None else time.monotonic() + timeout
        delay = _POLL_SECONDS_MIN
        say_at = time.monotonic() + _SAY_SECONDS
        while True:
            problem = ""
            try:
                found = ask(recording.settings.socket, [self.key])
            except DaemonUnreachableError as error:
                found, problem = [], str(error)
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
                raise WaitTimeoutError(
                    f"artifact {self.name!r} is not committed after {timeout:g} s{why}; the daemon "
                    "goes on with it, `stepwell status` shows how far it is"
                )
            if problem and now >= say_at:
                recording.voice.warn_once(
                    f"artifact {self.key}", f"artifact {self.name!r} waits: {problem}"
                )
            time.sleep(delay if deadline is None else min(delay, max(0.0, deadline - now)))
            delay = min(_POLL_SECONDS_MAX, delay * 1.5)


def failures_of(socket: str, keys: Sequence[str]) -> dict[str, str]:
    """Return why no version of some drafts can be made, by key; waits a second at most."""
    asked, found = list(keys)[-_ASKED_MAX:], list[dict[str, Any]]()
    deadline = time.monotonic() + _OUTCOME_SECONDS
    delay = _POLL_SECONDS_MIN
    try:
        while True:
            found = ask(socket, asked)
            if all(each["state"] != "waiting" for each in found) or time.monotonic() > deadline:
                break
            time.sleep(delay)
            delay *= 1.5
    except (DaemonUnreachableError, RefusedError):
        pass  # Other lines say so; the daemon keeps what becomes of them.
    return {each["key"]: str(each["reason"]) for each in found if each["state"] == "failed"}


def hand_over(
    recording: "Recording", artifact: "Artifact", aliases: Iterable[str] | None = None
) -> Handed:
    """Give ``artifact`` to the run, with everything that it has.

    Raises:
        ArtifactNameError: An alias that cannot be.
        ValueError: Metadata that JSON cannot hold, or too much of it.
        ArtifactError: There is no journal to put it beside.
        RunFinishedError: The run has ended.
    """
    if recording.disabled:
        return Handed("", artifact._name, recording)
    again = _again(artifact)
    key = new_id() if again else artifact._key
    draft = _draft_of(recording, artifact, key, again, aliases)
    try:
        check_draft(draft)
    except ArtifactNameError:
        raise
    except ValueError as error:
        raise ValueError(
            f"artifact {artifact._name!r} cannot be logged, its metadata or description: {error}"
        ) from error
    recording.writer.check_open("log_artifact()")
    stager = recording.writer.stager
    if stager is None:
        raise ArtifactError(
            f"artifact {artifact._name!r} cannot be logged: this run has no journal; free some "
            "space or name another folder with STEPWELL_DIR, and begin the run again"
        )
    packed = draft._replace(writer_id=stager.info.writer_id).to_json()
    if again:
        made = _made_beside(stager.folder, key)
        made.mkdir(mode=0o2770)
        (made / DRAFT_FILE).write_bytes(packed)
        _publish_made(recording, stager, made, key)
    else:
        folder = artifact._files.ready()
        (folder / DRAFT_FILE).write_bytes(packed)
        _publish_held(recording, stager, folder, key)
        artifact._files.release()
    handed = Handed(key, artifact._name, recording)
    recording.handed.append(handed)
    return handed


def _publish(recording: "Recording", stager: "Stager", folder: Path, key: str) -> None:
    """Rename a whole draft into the run's journal.

    Raises:
        RunFinishedError: The run has ended; the folder is where it was.
    """
    with recording.writer.lock:
        if recording.finished:
            raise RunFinishedError(recording.run_id, "log_artifact()")
        os.rename(folder, stager.folder / folder_name(key))
        stager.note_draft(key)


def _publish_held(recording: "Recording", stager: "Stager", folder: Path, key: str) -> None:
    """Publish the held files; where that fails, they stay with their artifact."""
    try:
        _publish(recording, stager, folder, key)
        return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    made = _made_beside(stager.folder, key)  # Without the lock: a copy takes its time.
    copy_folder(folder, made)
    _publish_made(recording, stager, made, key)
    shutil.rmtree(folder, ignore_errors=True)


def _publish_made(recording: "Recording", stager: "Stager", made: Path, key: str) -> None:
    try:
        _publish(recording, stager, made, key)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _made_beside(journal: Path, key: str) -> Path:
    return journal / f".{folder_name(key)}"


def _again(artifact: "Artifact") -> str:
    """Return what names the content of an artifact that was logged before, "" for a new one."""
    if artifact._facts is not None:
        return artifact._facts.id
    return artifact._handed.key if artifact._handed is not None else ""


def _draft_of(
    recording: "Recording",
    artifact: "Artifact",
    key: str,
    again: str,
    aliases: Iterable[str] | None,
) -> Draft:
    from stepwell._json_values import as_json

    named = list(artifact.aliases if aliases is None else aliases)
    return Draft(
        key=key,
        project=recording.settings.project,
        run_id=recording.run_id,
        writer_id="-",
        name=artifact._name,
        type=artifact.type,
        description=artifact.description or "",
        metadata=as_json(artifact.metadata, silent),
        aliases=tuple(dict.fromkeys(each for each in named if each != LATEST)),
        again=again,
    )
