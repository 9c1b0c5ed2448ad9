"""`stepwell top`: the daemon's writers, rates and spool, drawn again every second.

Plain ANSI: the alternate screen, one write for each frame, the terminal restored at the end. `q` or
Ctrl-C end it; `--once` prints one frame as text.
"""

import argparse
import select
import shutil
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from stepwell.cli.daemon_client import DaemonClient, is_answered, no_daemon
from stepwell.cli.errors import OK, USAGE, CommandError
from stepwell.cli.options import add_config, add_socket, places, seconds
from stepwell.cli.reading import configured_socket
from stepwell.cli.status import is_active, sink_text, spool_text, waiting_bytes, writers_table
from stepwell.cli.text import bytes_text, count_text, moment_text, plain, seconds_text

_ENTER: Final = "\x1b[?1049h\x1b[?25l"
_LEAVE: Final = "\x1b[?25h\x1b[?1049l"
_HOME: Final = "\x1b[H"
_END_LINE: Final = "\x1b[K\r\n"
_CLEAR_BELOW: Final = "\x1b[J"
_BAR_CELLS: Final = 30
_INTERVAL_SECONDS_MIN: Final = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", help="print once and exit")
    parser.add_argument("--interval", type=seconds, default=1.0, metavar="SECONDS")
    add_socket(parser)
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    socket = configured_socket(places(options))
    if options.once:
        with DaemonClient(socket) as daemon:
            print("\n".join(frame(daemon.status(), now=time.time())))
        return OK
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CommandError("no terminal; use `stepwell top --once`", USAGE)
    if not is_answered(socket):
        raise no_daemon(socket)
    with _screen():
        _watch(socket, max(_INTERVAL_SECONDS_MIN, options.interval))
    return OK


def _watch(socket: Path, interval_seconds: float) -> None:
    """Draw until the user quits; if the daemon ends, wait for a new one."""
    daemon: DaemonClient | None = None
    lines: list[str] = []
    try:
        while True:
            try:
                daemon = daemon or DaemonClient(socket)
                lines = frame(daemon.status(), now=time.time())
            except CommandError as error:
                if daemon is not None:
                    daemon.close()
                daemon = None
                lines = [plain(error), "waiting for a daemon …", *lines[2:]]
            _draw([*lines, "", "q: quit"])
            if _is_quit_pressed(interval_seconds):
                return
    except KeyboardInterrupt:
        return
    finally:
        if daemon is not None:
            daemon.close()


@contextmanager
def _screen() -> Iterator[None]:
    saved = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        sys.stdout.write(_ENTER)
        yield
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, saved)


def _is_quit_pressed(timeout_seconds: float) -> bool:
    readable, _, _ = select.select([sys.stdin], [], [], timeout_seconds)
    return bool(readable) and sys.stdin.read(1) in ("q", "Q", "")


def _draw(lines: list[str]) -> None:
    columns, rows = shutil.get_terminal_size()
    shown = [line[:columns] for line in lines[: rows - 1]]
    sys.stdout.write(_HOME + "".join(line + _END_LINE for line in shown) + _CLEAR_BELOW)
    sys.stdout.flush()


def frame(status: dict[str, Any], *, now: float) -> list[str]:
    """Return the lines of one frame."""
    rates, totals, spool = status["rates"], status["totals"], status["spool"]
    state = "ready" if status["ready"] else "NOT READY"
    lines = [
        f"stepwell {status['version']}  {state}  up {seconds_text(status['uptime_seconds'])}"
        f"  {moment_text(now)}",
        f"{plain(status['socket'])}  {plain(status.get('metrics_url') or '')}",
        "",
        f"received {count_text(rates['points_received_per_second']):>12} points/s"
        f"   {bytes_text(rates['bytes_received_per_second'])}/s"
        f"   {count_text(totals['points_received'])} in all",
        f"stored   {count_text(rates['points_stored_per_second']):>12} points/s"
        f"   {count_text(totals['points_stored'])} in all",
        f"spool    {bar(waiting_bytes(spool), spool['bytes_max'])} {spool_text(spool)}",
        f"sink     {sink_text(status['sink'])}",
    ]
    lines += [f"! {plain(each)}" for each in status["problems"]]
    writers = status["writers"]
    live = [each for each in writers if is_active(each)]
    relayed = sum(not each.get("connected") for each in live)
    through = f", {relayed} of them through other daemons" if relayed else ""
    lines += ["", f"{len(live)} of {len(writers)} writers connected{through}"]
    return lines + (writers_table(writers).splitlines() if writers else [])


def bar(part: float, whole: float) -> str:
    """Return a bar that is full at ``whole``."""
    ratio = min(1.0, max(0.0, part / whole)) if whole else 0.0
    filled = round(ratio * _BAR_CELLS)
    return "[" + "#" * filled + "." * (_BAR_CELLS - filled) + "]"
