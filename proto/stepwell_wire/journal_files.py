"""The files in a journal's folder besides its segments, and where journals are.

`writer.json` says who writes; `lock` is held with flock while the writer lives.
"""

import contextlib
import json
import os
import re
from pathlib import Path
from typing import Any, Final, NamedTuple

from stepwell_wire.limits import IDENTIFIER_BYTES_MAX
from stepwell_wire.segment import SEGMENT_SUFFIX

WRITER_FILE: Final = "writer.json"
LOCK_FILE: Final = "lock"
JOURNAL_VERSION: Final = 1
OFFLINE: Final = "offline"
"""The mode of a writer whose journal nothing but ``stepwell sync`` sends."""
UNVERIFIED_SUFFIX: Final = ".unverified"
JOURNAL_NAME: Final = re.compile(r"-[0-9a-f]{32}\Z")
"""The end of a journal's folder name: the writer's id. The run's id is before it."""


_NUMBERS: Final = {"pid": 1 << 32, "created_at": 1 << 63, "version": JOURNAL_VERSION + 1}
_TEXT_BYTES: Final = {
    **dict.fromkeys(("project", "run_id", "writer_id", "label"), IDENTIFIER_BYTES_MAX),
    **dict.fromkeys(("scope", "host", "boot_id", "mode", "socket"), 255),
}


class WriterFile(NamedTuple):
    """Who writes a journal: the content of ``writer.json``. Moments are µs since 1970 UTC."""

    project: str
    run_id: str
    writer_id: str
    label: str = ""
    scope: str = "run"
    host: str = ""
    pid: int = 0
    boot_id: str = ""
    created_at: int = 0
    mode: str = "online"
    version: int = JOURNAL_VERSION
    socket: str = ""  # Of the writer's daemon; "" in journals of older releases.

    def to_json(self) -> str:
        return json.dumps(self._asdict())

    @classmethod
    def from_json(cls, text: str) -> "WriterFile":
        """Raise ValueError unless ``text`` is a writer's file of a version that we know."""
        try:
            found = json.loads(text)
        except RecursionError as error:
            raise ValueError("expected a JSON object without deep nesting") from error
        if not isinstance(found, dict):
            raise ValueError("expected a JSON object")
        version = found.get("version")
        if not isinstance(version, int) or not 1 <= version <= JOURNAL_VERSION:
            raise ValueError(f"expected version 1 to {JOURNAL_VERSION}, not {version!r}")
        known: dict[str, Any] = {}
        for name in cls._fields:
            if name in found:
                kind = int if name in ("pid", "created_at", "version") else str
                if not isinstance(found[name], kind):
                    raise ValueError(f"{name}: expected {kind.__name__}")
                known[name] = found[name]
                if kind is int and not 0 <= found[name] < _NUMBERS[name]:
                    raise ValueError(f"{name}: {found[name]} is out of range")
                if kind is str and len(found[name].encode()) > _TEXT_BYTES[name]:
                    raise ValueError(f"{name}: expected at most {_TEXT_BYTES[name]} bytes")
        for name in ("project", "run_id", "writer_id"):
            if not known.get(name):
                raise ValueError(f"{name} is missing")
        return cls(**known)


def boot_id() -> str:
    """Return the id of this start of the machine; "" if the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def has_restarted(info: WriterFile) -> bool:
    """Return whether the machine has restarted since the writer began, or may have."""
    here = boot_id()
    return not here or info.boot_id != here


def noted_socket(journal: Path) -> str:
    """Return the socket of the daemon that the writer of a journal used; "" if it is not known."""
    try:
        return WriterFile.from_json((journal / WRITER_FILE).read_text("utf-8")).socket
    except (OSError, ValueError):
        return ""


def mode_of(journal: Path) -> str:
    """Return the mode of a journal's writer, such as `OFFLINE`; "" if it is not known."""
    try:
        return WriterFile.from_json((journal / WRITER_FILE).read_text("utf-8")).mode
    except (OSError, ValueError):
        return ""


def find_journals(folder: Path) -> list[Path]:
    """Return the writers' folders in ``folder``, oldest first; none without such a folder."""
    found = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue  # Not complete yet.
            with contextlib.suppress(OSError):
                made_ns = os.stat(os.path.join(entry.path, WRITER_FILE)).st_mtime_ns
                found.append((made_ns, entry.name))
    return [Path(folder) / name for _, name in sorted(found)]


def find_remains(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the folders in ``folder`` that hold segments of an unknown run, by name.

    First those that lost their ``writer.json``, then those that hold only unverified data from
    before a restart of the machine.
    """
    ownerless, doubtful = [], []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or not entry.is_dir(follow_symlinks=False):
                continue
            with contextlib.suppress(OSError):
                names = os.listdir(entry.path)
                if WRITER_FILE in names:
                    continue
                if any(name.endswith(SEGMENT_SUFFIX) for name in names):
                    ownerless.append(entry.name)
                elif any(name.endswith(SEGMENT_SUFFIX + UNVERIFIED_SUFFIX) for name in names):
                    doubtful.append(entry.name)
    folder = Path(folder)
    return [folder / name for name in sorted(ownerless)], [
        folder / name for name in sorted(doubtful)
    ]
