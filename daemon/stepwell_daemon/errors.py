"""The errors of a daemon, each with the place and the remedy."""

from pathlib import Path
from typing import Final

from stepwell_wire.errors import WireError

BAD_DATA: Final = (
    WireError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    RecursionError,
)
"""Errors that decoding and building may raise for frames that passed every check: a bug of ours,
which must not block later frames."""


class DaemonError(Exception):
    """A failure that the daemon reports with a remedy."""


class DaemonConfigError(DaemonError):
    """A setting is unknown or has an invalid value."""


class AlreadyRunningError(DaemonError):
    """Another daemon holds the data folder or the socket."""


class DataHeldError(AlreadyRunningError):
    """Another daemon uses the data folder with another socket, so it does not answer on this
    one."""


class SpoolUnavailableError(DaemonError):
    """The spool cannot make any frame durable now.

    Attributes:
        done: number of frames of the group that are durable nevertheless.
    """

    def __init__(self, path: Path, reason: OSError, done: int = 0) -> None:
        super().__init__(
            f"{path}: writing failed ({reason.strerror or reason}), so frames are not "
            "acknowledged; free disk space or repair the disk, the daemon keeps trying"
        )
        self.path = path
        self.reason = reason
        self.done = done


class SpoolNotOpenedError(DaemonError):
    """The spool could not be opened at the start; its content is unchanged."""

    def __init__(self, folder: Path, reason: OSError) -> None:
        super().__init__(
            f"{reason.filename or folder}: opening the spool failed "
            f"({reason.strerror or reason}); free disk space, or repair the disk or the "
            f"permissions of {folder}, and start the daemon again. The spool is unchanged, "
            "and writers keep their journals"
        )


class BlobRefusedError(DaemonError):
    """A blob that is never taken in its present form."""


class BlobsWaitError(DaemonError):
    """No blob can be taken now; their senders keep them."""


class DamagedStateError(DaemonError):
    """A small state file (cursor, writers table) is corrupt."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path}: {what}")
        self.path = path


class NewerSpoolError(DaemonError):
    """A later release wrote the spool; it is left unchanged."""

    def __init__(self, path: Path, version: int, known: int) -> None:
        super().__init__(
            f"{path}: format version {version}, but this release reads versions up to "
            f"{known}; start the later release again, or move the folder away to begin an "
            "empty spool. Nothing was changed"
        )
        self.path = path
