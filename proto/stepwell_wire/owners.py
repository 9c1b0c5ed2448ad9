"""The other user who has a place that this user may not read."""

import os
import pwd
from pathlib import Path

from stepwell_wire.commands import shell_word


def foreign_owner(path: Path) -> str:
    """Return the user of ``path``, or of its nearest folder that can be seen; "" if that is us.

    Returns:
        A name, or ``#`` and the number of a user without one, as `sudo -u` takes both.
    """
    for each in (path, *path.parents):
        try:
            number = os.stat(each).st_uid
        except OSError:
            continue
        if number == os.geteuid():
            return ""
        try:
            return pwd.getpwuid(number).pw_name
        except KeyError:
            return f"#{number}"
    return ""


def command_as(owner: str, command: str) -> str:
    """Return the shell command that runs ``command`` as that user."""
    return f"sudo -u {shell_word(owner)} {command}"
