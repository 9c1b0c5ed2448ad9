"""`stepwell up`: a daemon with an embedded store as a child in the foreground.

SIGINT, SIGTERM   the daemon drains its spool into the store and ends; again: it ends at once
SIGHUP            the daemon reads its configuration again
"""

import argparse
import signal
import subprocess
import sys
import time
from types import FrameType
from typing import Any, Final

from stepwell.cli import daemon_process
from stepwell.cli.daemon_client import DaemonClient
from stepwell.cli.errors import OK, UNREACHABLE, USAGE, CommandError
from stepwell.cli.extras import require_daemon
from stepwell.cli.options import Places, add_data, add_socket, places, port
from stepwell.cli.page import link_to
from stepwell_wire.commands import command_text
from stepwell_wire.places import default_socket

_POLL_SECONDS: Final = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    add_socket(parser)
    parser.add_argument("--host", help="address of the page; default 127.0.0.1")
    parser.add_argument("--port", type=port, help="port of the page; 0: any free port")
    parser.add_argument("--metrics-host", help="address of /metrics; default 127.0.0.1")
    parser.add_argument("--metrics-port", type=port, help="port of /metrics; 0: any free port")
    parser.add_argument("--config", metavar="FILE", help="the daemon's TOML file")


def run(options: argparse.Namespace) -> int:
    require_daemon()
    arguments: list[str] = []
    for name, value in (
        # Only given ones: a flag overrides the file and the variables of the daemon.
        ("--socket", options.socket),
        ("--data", options.data),
        ("--hub-host", options.host),
        ("--hub-port", options.port),
        ("--host", options.metrics_host),
        ("--metrics-port", options.metrics_port),
        ("--config", options.config),
    ):
        if value is not None:
            arguments += [name, str(value)]
    where = _places(options, arguments)
    foreground = _Foreground()
    process = daemon_process.start_attached(*arguments)
    foreground.process = process
    if daemon_process.wait_until_answered(
        where.socket, lambda: process.poll() is not None or foreground.asked_to_stop > 0
    ):
        _announce(where, process)
    elif process.poll() is None and not foreground.asked_to_stop:
        process.terminate()
        raise CommandError(
            f"the daemon did not answer on {where.socket} within "
            f"{daemon_process.START_SECONDS:.0f} s; see its messages above",
            UNREACHABLE,
        )
    code = process.wait()
    if code < 0 and foreground.asked_to_stop:
        return OK
    return 128 - code if code < 0 else code


def _places(options: argparse.Namespace, arguments: list[str]) -> Places:
    """Return the places that a daemon with these arguments uses.

    Raises:
        CommandError: The configuration cannot be read, or a place cannot be used.
    """
    from stepwell_daemon.config import build_parser, read_config
    from stepwell_daemon.errors import DaemonConfigError

    try:
        config = read_config(build_parser().parse_args(arguments))
    except DaemonConfigError as error:
        raise CommandError(str(error), USAGE) from error
    return places(argparse.Namespace(socket=config.socket, data=config.data))


class _Foreground:
    """Passes signals on to the daemon."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.asked_to_stop = 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._send(signal.SIGHUP)
            return
        self.asked_to_stop += 1
        if self.asked_to_stop == 1:
            print(
                "stopping; a second Ctrl-C or signal stops at once, no data is lost",
                file=sys.stderr,
            )
            self._send(signal.SIGTERM)
        else:
            self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)


def _announce(where: Places, process: subprocess.Popen[bytes]) -> None:
    """Print the addresses and places, once our daemon answers."""
    status: dict[str, Any] = {}
    deadline = time.monotonic() + daemon_process.START_SECONDS
    while status.get("pid") != process.pid:
        if process.poll() is not None or time.monotonic() > deadline:
            return
        try:
            with DaemonClient(where.socket) as daemon:
                status = daemon.status()
        except CommandError:
            pass  # It is starting or ending; the loop's conditions handle both.
        time.sleep(_POLL_SECONDS)
    lines = [("socket", status["socket"]), ("data", status["data_dir"])]
    lines += [("metrics", status["metrics_url"])] if status.get("metrics_url") else []
    if page_url := status.get("page_url"):
        lines.append(("page", _page_text(f"{page_url}/", status.get("hub_folder", ""))))
    for name, text in lines:
        print(f"{name:<8} {text}")
    # Other commands find the daemon on the default socket only.
    here = () if where.socket == default_socket() else ("--socket", where.socket)
    print(
        f"Ctrl-C or {command_text('down', *here)} stops it; list the runs with "
        f"{command_text('runs', *here)} in another terminal",
        flush=True,
    )


def _page_text(address: str, hub_folder: str) -> str:
    """Return the page's address; only on a terminal one that logs in: others may read a file."""
    return link_to(address, hub_folder) if sys.stdout.isatty() else address
