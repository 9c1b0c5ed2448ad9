"""Secret files: refused if all users may read them or others may change them."""

import os
import stat
from pathlib import Path

from stepwell_wire.commands import shell_word


class SecretFileError(Exception):
    """A secret cannot be read, or is not secret."""


def read_secret(path: Path) -> bytes:
    """Return the content of ``path``.

    Raises:
        SecretFileError: It cannot be read, or all users may read it.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
                raise SecretFileError(
                    f"{path}: other users may read or change it (mode "
                    f"{stat.S_IMODE(mode):04o}); run chmod 600 {shell_word(path)}, or chmod "
                    "640 with a group of its own"
                )
            return file.read()
    except OSError as error:
        raise SecretFileError(f"{path}: cannot be read ({error.strerror})") from error
