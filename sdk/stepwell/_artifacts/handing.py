"""Handing over an artifact for `run.log_artifact`, and the wait for its version.

The files are held already. The handing over writes one small file and makes one rename, into the
run's journal; then the draft is sent like staged media (`_blob_sender.py`). The daemon commits it.
"""

import errno
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stepwell._artifacts.asking import ask
from stepwell._artifacts.handed import POLL_SECONDS_MIN, Handed
from stepwell._artifacts.hold_folder import copy_folder
from stepwell._artifacts.versions import VersionFacts, stand_in
from stepwell._names import silent
from stepwell.errors import (
    ArtifactError,
    DaemonUnreachableError,
    RefusedError,
    RunFinishedError,
)
from stepwell_wire.artifact_names import LATEST
from stepwell_wire.drafts import DRAFT_FILE, Draft, check_draft, folder_name
from stepwell_wire.errors import ArtifactNameError
from stepwell_wire.staged import new_id

if TYPE_CHECKING:
    from stepwell._artifacts.artifact import Artifact
    from stepwell._recording import Recording
    from stepwell._staging import Stager

_ASKED_MAX: Final = 1000
_OUTCOME_SECONDS: Final = 1.0


def failures_of(socket: str, keys: Sequence[str]) -> dict[str, str]:
    """Return why no version of some drafts can be made, by key; waits a second at most."""
    asked, found = list(keys)[-_ASKED_MAX:], list[dict[str, Any]]()
    deadline = time.monotonic() + _OUTCOME_SECONDS
    delay = POLL_SECONDS_MIN
    try:
        while True:
            found = ask(socket, asked)
            if all(each["state"] != "waiting" for each in found) or time.monotonic() > deadline:
                break
            time.sleep(delay)
            delay *= 1.5
    except (DaemonUnreachableError, RefusedError):
        pass  # Other lines report this; the daemon keeps the results.
    return {each["key"]: str(each["reason"]) for each in found if each["state"] == "failed"}


def hand_over(
    recording: "Recording", artifact: "Artifact", aliases: Iterable[str] | None = None
) -> Handed:
    """Give ``artifact`` to the run, with all its files.

    Raises:
        ArtifactNameError: An invalid alias.
        ValueError: Too much metadata, or a description that is too long.
        ArtifactError: There is no journal to put it beside.
        RunFinishedError: The run has ended.
    """
    if recording.disabled:
        return Handed("", artifact._name, recording, _stand_in_for(recording, artifact, aliases))
    again = _again(artifact)
    key = new_id() if again else artifact._key
    draft = _draft_of(recording, artifact, key, again, aliases)
    try:
        check_draft(draft)
    except ArtifactNameError:
        raise
    except ValueError as error:
        raise ValueError(
            f"artifact {artifact._name!r} cannot be logged, invalid metadata or description: "
            f"{error}"
        ) from error
    recording.writer.check_open("log_artifact()")
    stager = recording.writer.stager
    if stager is None:
        raise ArtifactError(
            f"artifact {artifact._name!r} cannot be logged: this run has no journal; free "
            "some space or name another folder with STEPWELL_DIR, and start the run again"
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
        RunFinishedError: The run has ended; the folder stays in its place.
    """
    with recording.writer.lock:
        if recording.finished:
            raise RunFinishedError(recording.run_id, "log_artifact()")
        os.rename(folder, stager.folder / folder_name(key))
        stager.note_draft(key)


def _publish_held(recording: "Recording", stager: "Stager", folder: Path, key: str) -> None:
    """Publish the held files; if that fails, they stay with their artifact."""
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
    """Return the version's id or the draft's key if it was logged before, "" for a new one."""
    if artifact._facts is not None:
        return artifact._facts.id
    return artifact._handed.key if artifact._handed is not None else ""


def _stand_in_for(
    recording: "Recording", artifact: "Artifact", aliases: Iterable[str] | None
) -> VersionFacts:
    """Return the facts of the version that a run which is not disabled would make."""
    entries = artifact._files.entries.values()
    named = artifact.aliases if aliases is None else aliases
    return stand_in(
        recording.settings.project,
        artifact._name,
        artifact.type,
        aliases=tuple(dict.fromkeys((LATEST, *named))),
        description=artifact.description or "",
        metadata=dict(artifact.metadata),
        size=sum(each.size or 0 for each in entries),
        file_count=len(entries),
    )


def _draft_of(
    recording: "Recording",
    artifact: "Artifact",
    key: str,
    again: str,
    aliases: Iterable[str] | None,
) -> Draft:
    from stepwell._json_values import as_finite_json

    named = list(artifact.aliases if aliases is None else aliases)
    return Draft(
        key=key,
        project=recording.settings.project,
        run_id=recording.run_id,
        writer_id="-",
        name=artifact._name,
        type=artifact.type,
        description=artifact.description or "",
        metadata=as_finite_json(artifact.metadata, silent),
        aliases=tuple(dict.fromkeys(each for each in named if each != LATEST)),
        again=again,
    )
