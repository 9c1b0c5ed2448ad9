"""Staged files for tests of the daemon, made by the SDK's own stager."""

from pathlib import Path
from typing import Any

from stepwell._staging import Stager
from stepwell_wire.journal_files import WriterFile

INFO = WriterFile("p", "r", "w", "", host="node", pid=7)


def stage(
    folder: Path, payload: bytes, kind: str = "text", info: WriterFile = INFO, **about: Any
) -> str:
    """Stage ``payload`` in ``folder`` and return its id."""
    folder.mkdir(parents=True, exist_ok=True)
    stager = Stager(folder, info, bytes_max=1 << 30, free_bytes_min=0)
    kept = stager.keep(kind, about or {"media_type": "text/html"}, [payload])
    assert kept["blob"] is not None, kept
    return str(kept["blob"])
