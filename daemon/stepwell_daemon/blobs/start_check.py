"""The check of the setting `blob_store` when a daemon starts.

    <data>/blobstore.path    the folder outside the data folder that was usable at the last start

A folder that was never usable is a wrong setting, and the start fails. One that was usable before
may be of a network file system that is absent now, and one whose file system does not answer may
be right: the daemon starts, so that rows continue, and media wait.
"""

import threading
from contextlib import suppress
from typing import Final

from stepwell_daemon.config import DaemonConfig
from stepwell_daemon.errors import DaemonConfigError
from stepwell_daemon.part_settings import check_blob_store

NOTE_FILE: Final = "blobstore.path"
_SECONDS: Final = 10.0


def check_at_start(config: DaemonConfig, *, seconds: float = _SECONDS) -> str:
    """Return a warning if the blob store may be usable only later, "" if it is usable.

    Args:
        seconds: how long its file system may take to answer.

    Raises:
        DaemonConfigError: It is not usable, and was not before.
    """
    if not config.blob_store or config.sink == "gateway":
        return ""
    note = config.data / NOTE_FILE
    noted = ""
    with suppress(OSError):
        noted = note.read_text("utf-8", "surrogateescape")
    problem = _problem(config, seconds)
    if problem is None:
        return (
            f"blob_store: the file system of {config.blob_store} did not answer within "
            f"{seconds:g} s; set another path, or repair the file system. Media wait for it"
        )
    if problem and noted != config.blob_store:
        raise DaemonConfigError(problem)
    if problem:
        return f"{problem}. It was usable at an earlier start; media wait for it"
    if noted != config.blob_store:
        with suppress(OSError):  # A full disk costs only the note.
            note.write_text(config.blob_store, "utf-8", "surrogateescape")
    return ""


def _problem(config: DaemonConfig, seconds: float) -> str | None:
    """Return why the blob store is not usable, "" if it is, None without an answer."""
    found: list[str] = []

    def check() -> None:
        try:
            check_blob_store(config)
        except DaemonConfigError as error:
            found.append(str(error))
        else:
            found.append("")

    # A file system whose server is gone may block a call without a limit.
    checking = threading.Thread(target=check, name="check-blob-store", daemon=True)
    checking.start()
    checking.join(seconds)
    return found[0] if found else None
