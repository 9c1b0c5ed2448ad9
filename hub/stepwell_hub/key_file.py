"""The hub's key, as it is in its file now: a rotated key works at once, without a restart."""

import logging
import os
import secrets
from pathlib import Path

from stepwell_wire.hub_access import KEY_FILE, HubKeyError, read_key

logger = logging.getLogger("stepwell_hub")

_Signature = tuple[int, ...]


class KeyFile:
    """Checks the file's status for each request, and reads the file again when it changed."""

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            HubKeyError: The key cannot be read.
        """
        self._folder = folder
        self._path = os.fspath(folder / KEY_FILE)
        self._signature = self._look()
        self._key = read_key(folder)

    def current(self) -> str:
        """Return the key. If it is unreadable: a random key, which refuses all requests."""
        signature = self._look()
        if signature != self._signature:
            try:
                self._key = read_key(self._folder)
                logger.info("the key was rotated")
            except HubKeyError as error:
                logger.error("rejecting all requests until the key is readable: %s", error)
                self._key = secrets.token_urlsafe(32)
            self._signature = signature
        return self._key

    def _look(self) -> _Signature | None:
        try:
            found = os.stat(self._path, follow_symlinks=False)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size
