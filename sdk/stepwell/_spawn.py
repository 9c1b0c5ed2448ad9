"""Look whether a daemon is on the socket, and start a personal one."""

import errno
import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from stepwell import _import_gate
from stepwell_wire.interpreter import NoPythonError, daemon_environment, helper_command, python
from stepwell_wire.places import check_socket_path
from stepwell_wire.trusted_socket import TrustedSocket, UntrustedSocketError

if TYPE_CHECKING:
    import subprocess

ANOTHER_RUNS: Final = 3
"""Exit code of a daemon that found another one on its socket: as good as started."""
DATA_HELD: Final = 4
"""Exit code of a daemon whose data folder belongs to one on another socket."""

NO_DESCRIPTOR: Final = "no file descriptor is left; close files, or raise `ulimit -n`"
PERSONAL_LOG_FILE: Final = "daemon.log"
_LOG_TAIL_BYTES: Final = 4096
_PROBE_BYTES: Final = 4096
_LINE_CHARACTERS_MAX: Final = 400
_started: list["subprocess.Popen[bytes]"] = []


class Look(NamedTuple):
    """The result of a look at a socket.

    Attributes:
        answers: a daemon listens.
        obstacle: the reason, if reaching one needs an action of the user first; else "".
    """

    answers: bool
    obstacle: str = ""


def look_at(path: str) -> Look:
    """Check whether a daemon listens at ``path``; does not wait and sends nothing."""
    import socket as sockets

    try:
        with (
            TrustedSocket(path) as held,
            sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM | sockets.SOCK_CLOEXEC) as probe,
        ):
            probe.setblocking(False)
            held.connect(probe)
    except BlockingIOError:
        return Look(True)  # Its backlog is full, so it lives.
    except UntrustedSocketError as error:
        return Look(False, str(error))
    except PermissionError:
        return Look(False, forbidden_text(path))
    except ValueError as error:
        return Look(False, f"{path!r} is not a valid path of a socket: {error}")
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return Look(False, NO_DESCRIPTOR)
        if error.errno == errno.ENOTSOCK:
            return Look(False, f"{path} is not a socket; name another path with STEPWELL_SOCKET")
        try:
            check_socket_path(Path(path))
        except ValueError as problem:
            return Look(False, str(problem))
        return Look(False)
    return Look(True)


def daemon_answers(path: str) -> bool:
    """Return whether a daemon that may be trusted listens on the socket at ``path``."""
    return look_at(path).answers


def forbidden_text(path: str) -> str:
    """Return the message for a socket that this user has no permission to use."""
    try:
        found = os.stat(path)
        who = f"uid {found.st_uid}, group {found.st_gid}, mode {found.st_mode & 0o777:o}"
    except OSError:
        who = "no permission for its folder"
    return (
        f"no permission to use the socket {path} ({who}); join its group, or name another socket "
        "with STEPWELL_SOCKET"
    )


def is_forbidden(environ: Mapping[str, str]) -> bool:
    """Return whether STEPWELL_NO_DAEMON says that no daemon may be started."""
    return environ.get("STEPWELL_NO_DAEMON", "").lower() not in ("", "0", "false", "no", "off")


def can_start_daemon() -> bool:
    """Return whether the daemon and the embedded engine are installed."""
    names = ("stepwell_daemon", "stepwell_store", "chdb", "numpy", "lz4")
    try:
        return all(importlib.util.find_spec(name) is not None for name in names)
    except (ImportError, ValueError):
        return False


def why_no_python() -> str:
    """Return why this process cannot start a helper process, "" if it can."""
    try:
        python()
    except NoPythonError as error:
        return str(error)
    return ""


def start_daemon(
    socket: str, data_dir: Path, *, idle_exit_seconds: int = 900
) -> "subprocess.Popen[bytes]":
    """Start a personal daemon that outlives this process and ends when it is not needed.

    Raises:
        OSError: It could not be started.
    """
    with _import_gate.importing:  # On the sender's thread: a fork waits for it.
        import subprocess

    command = [*helper_command("stepwell_daemon"), "--personal", "--socket", socket]
    command += ["--data", str(data_dir), "--idle-exit", str(idle_exit_seconds)]
    command += ["--metrics-port", "0"]
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    Path(socket).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(data_dir / PERSONAL_LOG_FILE, "ab", opener=_private) as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            env=daemon_environment(),
        )
    # Kept, so that Python does not warn about a process that still runs.
    _started.append(process)
    return process


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def why_ended(data_dir: Path) -> str:
    """Return why a personal daemon has ended, "" if that is unknown."""
    return _disk_problem(data_dir) or last_log_line(data_dir / PERSONAL_LOG_FILE).removeprefix(
        "stepwelld: "
    )


def _disk_problem(folder: Path) -> str:
    """Return why the disk of ``folder`` takes no data, "" if it does.

    On such a disk the daemon's log lacks the reason, or ends with that of an earlier daemon.
    """
    import tempfile  # Rarely needed.

    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_PROBE_BYTES))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            return (
                f"writing in {folder} failed ({error.strerror}); free disk space, or name "
                "another folder with STEPWELL_DATA"
            )
    return ""


def last_log_line(log: Path) -> str:
    """Return the last line of a daemon's log, "" where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LOG_TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1][:_LINE_CHARACTERS_MAX] if lines else ""
