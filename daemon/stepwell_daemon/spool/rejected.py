"""Rejected blocks of the extent that is being sent, remembered over a kill.

A rejected block is stored in parts, each under its own token. If a restarted daemon sent the whole
block again, and the store then accepted it, the parts would count twice. So a block that was
rejected once is halved at once, until its extent is stored.
"""

import json
import logging
import threading
from pathlib import Path
from typing import Final

from stepwell_daemon.spool.disk import Disk, replace_file

logger = logging.getLogger("stepwell_daemon")

FILE: Final = "rejected"

Place = tuple[int, int, int]
"""Segment, start and end of an extent."""


class RejectedBlocks:
    """The tokens of rejected blocks, of one extent at a time."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._path = folder / FILE
        self._disk = disk
        self._lock = threading.Lock()
        self._place, self._tokens = _read(self._path)

    def begin(self, place: Place) -> None:
        """Forget all tokens except those of the extent at ``place``."""
        if place != self._place:
            self._place, self._tokens = place, frozenset()

    def __contains__(self, token: str) -> bool:
        return token in self._tokens

    def add(self, token: str) -> None:
        """Note, durably, that the store has rejected the block of ``token``.

        Raises:
            OSError: The disk cannot be written.
        """
        with self._lock:  # Blocks of several tables are sent, and rejected, at the same time.
            tokens = self._tokens | {token}
            content = {"extent": self._place, "tokens": sorted(tokens)}
            replace_file(self._disk, self._path, json.dumps(content).encode())
            self._tokens = tokens


def _read(path: Path) -> tuple[Place | None, frozenset[str]]:
    try:
        found = json.loads(path.read_bytes())
        segment, start, end = found["extent"]
        return (int(segment), int(start), int(end)), frozenset(map(str, found["tokens"]))
    except FileNotFoundError:
        return None, frozenset()
    except (OSError, ValueError, TypeError, KeyError) as error:
        logger.warning(
            "reading %s failed, rejected blocks are sent again as a whole: %s", path, error
        )
        return None, frozenset()
