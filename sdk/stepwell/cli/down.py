"""`stepwell down`: ends the daemon of this socket in order, and waits for its end.

The daemon stores its spool and ends, as after a SIGTERM. Data that is not stored in time stays in
the spool; data logged meanwhile stays in journals. The next daemon continues with both.
"""

import argparse
import os
import select
import signal
import sys
from pathlib import Path
from typing import Any, Final

from stepwell.cli.daemon_client import DaemonClient, listener, no_daemon, socket_of_data
from stepwell.cli.errors import FAILED, OK, UNREACHABLE, CommandError
from stepwell.cli.options import Places, add_config, add_socket, places, seconds
from stepwell.cli.reading import configured_socket
from stepwell.cli.text import bytes_text, counted

TIMEOUT_SECONDS: Final = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    add_socket(which)
    which.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="stop the daemon that uses this data folder, on any socket",
    )
    add_config(which)
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=TIMEOUT_SECONDS,
        metavar="SECONDS",
        help=f"seconds to wait until it has ended; default {TIMEOUT_SECONDS:g}",
    )


def run(options: argparse.Namespace) -> int:
    path = _socket(places(options))
    pid = listener_of(path)
    with DaemonClient(path) as daemon:
        status = daemon.status()
    if options.data is not None and not options.data.samefile(status["data_dir"]):
        raise _no_holder(options.data)  # The daemon that noted this socket was killed.
    if status.get("pid") != pid:
        raise CommandError(
            f"the daemon on {path} runs in another container, or another program listens there; "
            "stop it there, for example with its service"
        )
    pending = pending_text(status)
    try:
        held = os.pidfd_open(pid)
    except ProcessLookupError:
        print(f"the daemon on {path} has just ended")
        return OK
    try:
        _ask_to_end(held, pid)
        print(f"stopping the daemon on {path}, pid {pid}{pending}", file=sys.stderr, flush=True)
        if not select.select([held], [], [], max(options.timeout, 0.0))[0]:
            print(
                f"stepwell: pid {pid} is still stopping after {options.timeout:g} s; "
                "unstored frames stay in its spool; wait with `stepwell down` again, or "
                f"kill it with `kill -9 {pid}`",
                file=sys.stderr,
            )
            return FAILED
    finally:
        os.close(held)
    print(f"the daemon on {path} has ended")
    return OK


def _socket(where: Places) -> Path:
    if not where.data_named:
        return configured_socket(where)
    found = socket_of_data(where.data)
    if found is None:
        raise _no_holder(where.data)
    return found


def _no_holder(data: Path) -> CommandError:
    return CommandError(f"no daemon uses the data folder {data}", UNREACHABLE)


def listener_of(path: Path) -> int:
    """Return the process that listens at ``path``, from the kernel; 0 if it is not visible.

    Raises:
        CommandError: No process listens there.
    """
    found = listener(path)
    if found is None:
        raise no_daemon(path)
    return found.pid


def pending_text(status: dict[str, Any]) -> str:
    """Return the daemon's remaining work and its connected writers, as the end of a sentence."""
    parts = []
    waiting = int(status.get("spool", {}).get("unforwarded_bytes") or 0)
    if waiting:
        parts.append(f"{bytes_text(waiting)} are stored first")
    connected = sum(bool(each.get("connected")) for each in status.get("writers", ()))
    if connected:
        is_one = connected == 1
        parts.append(
            f"{counted(connected, 'writer')} {'is' if is_one else 'are'} connected: "
            f"{'its' if is_one else 'their'} next rows stay in "
            f"{'a journal' if is_one else 'journals'} until a daemon runs"
        )
    return "; " + "; ".join(parts) if parts else ""


def _ask_to_end(held: int, pid: int) -> None:
    try:
        signal.pidfd_send_signal(held, signal.SIGTERM)
    except ProcessLookupError:
        pass  # It has just ended by itself.
    except PermissionError as error:
        raise CommandError(
            f"the daemon, pid {pid}, belongs to another user; stop its service, for example "
            "`sudo systemctl stop stepwelld`"
        ) from error
