"""Default places on a node: socket, data, journals.

Every part of stepwell asks here, so that they find each other without configuration.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from stepwell_wire.lock_notes import is_in_use, socket_of

SOCKET_VARIABLE: Final = "STEPWELL_SOCKET"
DATA_VARIABLE: Final = "STEPWELL_DATA"
JOURNALS_VARIABLE: Final = "STEPWELL_DIR"
SYSTEM_SOCKET: Final = Path("/run/stepwell/stepwell.sock")
SOCKET_PATH_BYTES_MAX: Final = 107  # sun_path of unix(7), less the closing zero

_TEMPORARY_VARIABLES: Final = ("TMPDIR", "TEMP", "TMP")
_TO_USE: Final = os.W_OK | os.X_OK
_TEMPORARY_FOLDERS: Final = ("/tmp", "/var/tmp", "/usr/tmp")


def default_socket(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the socket of the daemon to use.

    This is the first of: ``STEPWELL_SOCKET``; the node's; ``own_socket`` if a daemon listens there;
    that of the daemon which has the user's data folder; ``own_socket``. Sessions of one user may
    differ in XDG_RUNTIME_DIR and TMPDIR, as one of ssh and a job of cron do; they share the data
    folder, and so the daemon.
    """
    if named := _named_socket(environ):
        return named
    own = own_socket(environ)
    return own if is_in_use(own) else socket_of(default_data_dir(environ)) or own


def own_socket(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the socket on which a daemon listens if it is not told another."""
    return _named_socket(environ) or usual_socket(environ)


def usual_socket(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the socket of a daemon of this user alone, if none is named."""
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "stepwell" / "stepwell.sock"
    return _of_user_without_home(environ) / "stepwell.sock"


def _named_socket(environ: Mapping[str, str]) -> Path | None:
    if named := environ.get(SOCKET_VARIABLE):
        return Path(named).expanduser().absolute()
    # Not Path.exists: it raises for users who may not enter the folder.
    return SYSTEM_SOCKET if os.path.exists(SYSTEM_SOCKET) else None


def _of_user_without_home(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the user's folder below the first folder for temporary files with the right to write.

    Processes meet there, so it must not depend on free space, as `tempfile.gettempdir()` does.
    """
    named = [environ.get(name, "") for name in _TEMPORARY_VARIABLES]
    folders = [os.path.abspath(each) for each in named if each] + list(_TEMPORARY_FOLDERS)
    usable = (each for each in folders if os.path.isdir(each) and os.access(each, _TO_USE))
    found = next(usable, _TEMPORARY_FOLDERS[0])
    return Path(found) / f"stepwell-{os.getuid()}"


def default_data_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of spool and embedded store: ``STEPWELL_DATA``, else the user's own."""
    if named := environ.get(DATA_VARIABLE):
        return Path(named).expanduser().absolute()
    base = os.path.expanduser(environ.get("XDG_DATA_HOME") or "~/.local/share")
    if base.startswith("~"):  # A user id without a name and a home, as in many containers.
        return _of_user_without_home(environ) / "data"
    return Path(base).absolute() / "stepwell"


def default_journals_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of the writers' journals: ``STEPWELL_DIR``, else beside the data."""
    if named := environ.get(JOURNALS_VARIABLE):
        return Path(named).expanduser().absolute()
    return default_data_dir(environ) / "journals"


def fallback_journals_dir() -> Path:
    """Return where journals go when ``default_journals_dir`` cannot be written."""
    return _of_user_without_home() / "journals"


def found_fallback_journals() -> Path | None:
    """Return that folder if it exists and no other user can have put files into it."""
    folder = fallback_journals_dir()
    try:
        found = folder.parent.lstat()
    except OSError:
        return None
    is_ours = found.st_uid == os.geteuid() and not found.st_mode & 0o022
    is_real = stat.S_ISDIR(found.st_mode) and folder.is_dir() and not folder.is_symlink()
    return folder if is_ours and is_real else None


def is_fallback_imported(socket: Path) -> bool:
    """Return whether a daemon on ``socket`` imports its journals from our fallback folder.

    It does if it has our user: others have another folder.
    """
    user = _user_of(socket)
    return user is None or user == os.geteuid()  # None: we make that folder.


def is_of_root(socket: Path) -> bool:
    """Return whether the daemon on ``socket`` runs as root, as far as its files show."""
    return _user_of(socket) == 0


def _user_of(socket: Path) -> int | None:
    for place in (socket, socket.parent):  # Without a daemon, the folder shows its user.
        try:
            return place.stat().st_uid
        except OSError:
            continue
    return None


def check_socket_path(path: Path) -> None:
    """Raise ValueError when ``path`` is too long for a unix socket."""
    size = len(os.fsencode(path))
    if size > SOCKET_PATH_BYTES_MAX:
        raise ValueError(
            f"{path}: {size} bytes, but a unix socket's path has at most "
            f"{SOCKET_PATH_BYTES_MAX}; choose a shorter one with {SOCKET_VARIABLE} or --socket"
        )
