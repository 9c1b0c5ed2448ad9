"""`stepwell sync [DIR…]`: sends journals of offline runs and killed processes, with progress."""

import argparse
import contextlib
import functools
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stepwell._spawn import is_forbidden
from stepwell.cli import daemon_process
from stepwell.cli.errors import FAILED, NOT_FOUND, OK, UNREACHABLE, CommandError
from stepwell.cli.options import Places, add_data, add_json, add_socket, places
from stepwell.cli.text import bytes_text, count_text, counted, json_text, of_others_text, plain
from stepwell.cli.unsent import journals_folders
from stepwell_wire.journal_files import OFFLINE, mode_of, noted_socket

if TYPE_CHECKING:
    from stepwell._sync import SyncProgress, SyncReport

_BAR_CELLS: Final = 24
_FLUSH_SECONDS: Final = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folders",
        nargs="*",
        type=Path,
        metavar="DIR",
        help="a journal or a folder of journals; default: STEPWELL_DIR, and the daemon's",
    )
    parser.add_argument("--keep", action="store_true", help="do not delete journals that were sent")
    parser.add_argument("--no-daemon", action="store_true", help="start no personal daemon")
    add_json(parser)
    add_data(parser)
    add_socket(parser)


def run(options: argparse.Namespace) -> int:
    where = places(options)
    folders = options.folders or journals_folders(where)
    report = _send(
        where,
        folders,
        may_start=not (options.no_daemon or is_forbidden(os.environ)),
        keep=options.keep,
        are_named=bool(options.folders),
    )
    if options.json:
        print(json_text(_as_json(report)))
    else:
        searched = options.folders or dict.fromkeys([where.journals, *folders])
        print(report_text(report, searched))
    if report.sent:
        print_waiting(where.socket)
    return FAILED if report.failed else OK


def print_waiting(socket: Path) -> None:
    """Print that versions of sent artifacts are not made yet."""
    from stepwell.cli.daemon_client import status_of

    with contextlib.suppress(CommandError):  # The command itself is done.
        status = status_of(socket) or {}
        if waiting := int((status.get("artifacts") or {}).get("waiting") or 0):
            are = "artifact is" if waiting == 1 else "artifacts are"
            print(
                f"stepwell: {count_text(waiting)} {are} still being committed; `stepwell "
                "status` shows the progress",
                file=sys.stderr,
            )


def _ensure_daemon(where: Places, *, may_start: bool) -> None:
    from stepwell.cli.daemon_client import is_answered, no_daemon

    if is_answered(where.socket):
        return
    if not may_start:
        raise no_daemon(where.socket)
    if reason := daemon_process.ensure_personal(where):
        raise CommandError(
            f"no daemon on {where.socket}: {reason}; nothing was sent, all journals are kept",
            UNREACHABLE,
        )
    print(f"stepwell: a personal daemon was started; it stores in {where.data}", file=sys.stderr)


def _send(
    where: Places, folders: list[Path], *, may_start: bool, keep: bool, are_named: bool
) -> "SyncReport":
    from stepwell._sync import sync_with
    from stepwell.errors import SyncError

    shows = sys.stderr.isatty()
    ensure_daemon = functools.partial(_ensure_daemon, where, may_start=may_start)
    try:
        return sync_with(
            ensure_daemon,
            folders,
            str(where.socket),
            _draw if shows else None,
            keep=keep,
            are_named=are_named,
            data=where.data,
            is_stored=functools.partial(_is_stored, where),
        )
    except SyncError as error:
        raise CommandError(str(error), NOT_FOUND) from error
    finally:
        if shows:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _is_stored(where: Places, project: str, run_id: str) -> bool:
    """Return whether the store has a run whose rows the daemon took; also if that is not known."""
    from stepwell.cli.daemon_client import DaemonClient
    from stepwell.cli.reading import reading

    try:
        with DaemonClient(where.socket) as daemon:
            status = daemon.status()
            is_flushed, _ = daemon.flush(_FLUSH_SECONDS)
        if not is_flushed or status["sink"]["kind"] != "embedded":
            return True
        its = where._replace(data=Path(status["data_dir"]), data_named=True, config=None)
        with reading(its, reports_missing=False) as store:
            from stepwell_store import queries

            queries.get_run(store, project, run_id)
    except CommandError as error:
        return error.exit_code != NOT_FOUND
    return True


def _draw(progress: "SyncProgress") -> None:
    columns = shutil.get_terminal_size().columns
    sys.stderr.write("\r\x1b[K" + progress_text(progress)[: columns - 1])
    sys.stderr.flush()


def progress_text(progress: "SyncProgress") -> str:
    """Return one line: a bar, bytes, and which journal it is."""
    total = progress.total_bytes
    ratio = progress.sent_bytes / total if total else 1.0
    filled = round(min(1.0, ratio) * _BAR_CELLS)
    name = plain(progress.journal.name) if progress.journal else ""
    return (
        f"[{'#' * filled}{'.' * (_BAR_CELLS - filled)}] "
        f"{bytes_text(progress.sent_bytes)} of {bytes_text(total)}  "
        f"{progress.journal_number}/{progress.journal_count} {name}"
    ).rstrip()


def report_text(report: "SyncReport", searched: Iterable[Path]) -> str:
    """Return the result: the journals sent, and those not sent, with reasons.

    Args:
        searched: where journals were looked for.
    """
    lines = []
    if report.sent:
        names = ", ".join(map(plain, report.sent[:10])) + (", …" if report.sent[10:] else "")
        count = len(report.sent)
        runs = counted(count, "run")
        lines.append(f"sent {bytes_text(report.sent_bytes)} of {runs}: {names}")
    elif not report.failed:
        lines.append(f"nothing to send in {plain(' and '.join(map(str, searched)))}")
    lines += _live_lines(report.live)
    if report.unverified_bytes:
        lines.append(
            f"{bytes_text(report.unverified_bytes)} could not be verified after a crash of "
            "the machine and are quarantined; `stepwell journal repair --unverified` keeps "
            "the readable part of them"
        )
    lines += _elsewhere_lines(report.elsewhere)
    if report.others:
        lines.append(f"{of_others_text(len(report.others))} not sent; they or root send them")
    for path, reason in report.failed:
        where = "" if reason.startswith(str(path)) else f"{plain(path)}: "
        lines.append(f"not sent: {where}{plain(reason)}")
    return "\n".join(lines)


def _live_lines(journals: Sequence[Path]) -> list[str]:
    """Return the lines about journals in use: of offline runs, which nothing sends, and others."""
    offline = [each for each in journals if mode_of(each) == OFFLINE]
    lines = []
    if count := len(journals) - len(offline):
        processes = "another process has it" if count == 1 else "other processes have them"
        lines.append(
            f"{counted(count, 'journal')} skipped, as {processes} open and will send the rest: "
            "the training script, or a daemon"
        )
    if offline:
        of, its = ("an offline run", "its") if len(offline) == 1 else ("offline runs", "their")
        lines.append(
            f"{counted(len(offline), 'journal')} of {of} at work skipped; run this again after "
            f"{its} end"
        )
    return lines


def _elsewhere_lines(journals: Iterable[Path]) -> list[str]:
    """Return a line for each other daemon that has data of its own, with its journals."""
    lines = []
    for socket, count in Counter(map(noted_socket, journals)).items():
        lines.append(
            f"{counted(count, 'journal')} left to the daemon on {plain(socket)}, which has data of "
            "its own; name a journal or its folder to send it here"
        )
    return lines


def _as_json(report: "SyncReport") -> dict[str, object]:
    return {
        "sent": list(report.sent),
        "sent_bytes": report.sent_bytes,
        "live": [str(path) for path in report.live],
        "failed": [{"journal": str(path), "reason": why} for path, why in report.failed],
        "unverified_bytes": report.unverified_bytes,
        "others": [str(path) for path in report.others],
        "elsewhere": [str(path) for path in report.elsewhere],
    }
