"""`stepwell spool …`: shows a daemon's spool, repairs it, replays dead-lettered frames."""

import argparse
import dataclasses
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from stepwell.cli.errors import FAILED, NOT_FOUND, OK, UNREACHABLE, USAGE, CommandError
from stepwell.cli.extras import require_store
from stepwell.cli.options import add_json, add_store, count, places
from stepwell.cli.reading import closed_by, configuration, present_data_dir, reading
from stepwell.cli.text import bytes_text, counted, json_text, plain
from stepwell_wire.owners import command_as

if TYPE_CHECKING:
    from stepwell_daemon.blobs.inspection import BlobReport
    from stepwell_daemon.spool.inspection import SpoolReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    verify = actions.add_parser("verify", help="read and check every byte; changes nothing")
    add_store(verify)
    add_json(verify)
    dump = actions.add_parser("dump", help="print every record as a line of JSON")
    add_store(dump)
    dump.add_argument("--run", help="only records of this run id")
    dump.add_argument("--writer", help="only records of this writer id")
    dump.add_argument("--segment", type=int, help="only records of this segment")
    dump.add_argument("--limit", type=count, default=0, help="stop after LIMIT records")
    dump.add_argument("--rows", action="store_true", help="also print the rows of each frame")
    repair = actions.add_parser(
        "repair", help="quarantine damaged bytes, as the start of a daemon does"
    )
    add_store(repair)
    repair.add_argument(
        "--yes", action="store_true", help="repair; without it, only print what would change"
    )
    replay = actions.add_parser("replay", help="send dead letters to the store again")
    add_store(replay)
    replay.add_argument("files", nargs="*", type=Path, metavar="FILE")
    replay.add_argument("--all", action="store_true", help="replay every dead letter")
    replay.add_argument(
        "--list", action="store_true", help="list the dead letters with their reasons"
    )


def run(options: argparse.Namespace) -> int:
    require_store()
    actions = {"verify": _verify, "dump": _dump, "repair": _repair, "replay": _replay}
    return actions[options.action](options)


def _folder(options: argparse.Namespace) -> Path:
    folder = present_data_dir(places(options)) / "spool"
    if owner := closed_by(folder.parent, folder.name):
        command = command_as(owner, f"stepwell spool {options.action} …")
        raise CommandError(f"{folder} belongs to user {owner}; run `{command}`")
    if not folder.is_dir():
        raise CommandError(
            f"no spool in {folder.parent}; name the daemon's data folder with --data or "
            "STEPWELL_DATA",
            UNREACHABLE,
        )
    return folder


# ---------------------------------------------------------------------------- verify, dump


def _report(folder: Path) -> "SpoolReport":
    from stepwell_daemon.spool.inspection import verify_spool

    try:
        return verify_spool(folder)
    except FileNotFoundError as error:
        raise CommandError(f"{error.filename}: {error.strerror}", UNREACHABLE) from error


def _verify(options: argparse.Namespace) -> int:
    from stepwell_daemon.blobs.inspection import inspect_queue

    folder = _folder(options)
    report = _report(folder)
    blobs = inspect_queue(folder.parent / "blobs", read_all=True)
    if options.json:
        print(json_text({**report.as_json(), "blobs": dataclasses.asdict(blobs)}))
    else:
        _print_report(report)
        _print_blobs(blobs)
    return OK if report.is_whole and not blobs.damaged else FAILED


def _print_blobs(blobs: "BlobReport") -> None:
    if blobs.waiting:
        print(f"waiting: {counted(blobs.waiting, 'blob')}, {bytes_text(blobs.waiting_bytes)}")
    if blobs.failed:
        print(f"failed, kept in blobs/failed/: {counted(blobs.failed, 'blob')}")
    for each in blobs.damaged:
        print(f"damaged blob, its daemon will record it as failed: {plain(each)}")


def _print_report(report: "SpoolReport") -> None:
    from stepwell_daemon.spool.inspection import damage_text

    print(
        f"spool {report.spool}: {counted(report.segments, 'segment')}, {bytes_text(report.bytes)}, "
        f"{counted(report.frames, 'frame')}, {counted(report.points, 'point')}"
    )
    for writer in report.writers:
        print(
            f"  {plain(writer.project)}/{plain(writer.run_id)} writer {plain(writer.writer_id)}: "
            f"{counted(writer.frames, 'frame')}, {counted(writer.points, 'point')}, positions "
            f"{writer.first_position} to {writer.end_position}"
        )
    if report.torn_bytes:
        print(f"{report.torn_bytes} bytes after the last sync, never acknowledged, so not counted")
    if report.quarantined_files:
        print(f"in quarantine/: {counted(report.quarantined_files, 'damaged piece')}")
    if report.quarantined_places:
        print(f"of them still in segments: {counted(report.quarantined_places, 'damaged place')}")
    for note in report.noted:
        print(f"lost, noted in quarantine/: {plain(note)}")
    if report.dead_letter_files:
        held = counted(report.dead_letter_files, "frame")
        print(f"dead letters: {held}, see `stepwell spool replay --list`")
    for each in report.damage:
        print(damage_text(each))
    if report.is_whole:
        print("whole")
    elif not report.is_repairable:
        print(
            f"{len(report.damage)} damaged places that no repair can restore; the daemon skips them"
        )
    else:
        print(
            f"{len(report.damage)} damaged places; `stepwell spool repair` quarantines the "
            "bytes and skips them"
        )


def _dump(options: argparse.Namespace) -> int:
    from stepwell_daemon.spool.items import dump_spool

    shown = 0
    for each in dump_spool(_folder(options)):
        if options.segment is not None and each.segment != options.segment:
            continue
        if options.run and (each.info is None or each.info.run_id != options.run):
            continue
        if options.writer and (each.info is None or each.info.writer_id != options.writer):
            continue
        print(json_text(each.as_json(rows=options.rows), indent=None))
        shown += 1
        if options.limit and shown >= options.limit:
            break
    return OK


# ---------------------------------------------------------------------------- repair


def _repair(options: argparse.Namespace) -> int:
    folder = _folder(options)
    if not options.yes:
        report = _report(folder)
        _print_report(report)
        if not report.is_repairable:
            print("nothing to repair")
            return OK
        print("nothing was changed; add --yes to repair", file=sys.stderr)
        return FAILED
    from stepwell_daemon.errors import DaemonError
    from stepwell_daemon.spool.repairing import repair_spool

    # Its findings are printed below.
    logging.getLogger("stepwell_daemon").addHandler(logging.NullHandler())
    try:
        repaired = repair_spool(folder)
    except DaemonError as error:
        raise CommandError(str(error), FAILED) from error
    for line in repaired.found:
        print(line)
    print("repaired" if repaired.is_changed else "nothing to repair")
    return OK


# ---------------------------------------------------------------------------- replay


def _replay(options: argparse.Namespace) -> int:
    from stepwell_daemon.spool.dead_letter import FOLDER, list_dead_letters
    from stepwell_daemon.spool.replaying import ReplayError, reason_of, replay

    folder = _folder(options)
    held = list_dead_letters(folder)
    if options.list:
        for path in held:
            print(f"{path}  {plain(reason_of(path))}")
        print(f"dead letters: {counted(len(held), 'frame')}", file=sys.stderr)
        return OK
    files = held if options.all else options.files
    if not files and not options.all:
        raise CommandError("no dead letters given; expected --all, or files from `--list`", USAGE)
    for path in files:
        if not path.is_file():
            raise CommandError(f"{path}: no such file; `--list` prints the names", NOT_FOUND)
    found = places(options)
    config = configuration(found)
    if config is not None and config.sink == "gateway":
        raise CommandError(
            f"this daemon relays to the gateway {config.gateway_address}, which rejected these "
            f"frames; copy {folder / FOLDER} into the gateway's spool folder and replay "
            "there; if it stores in servers, give its configuration with --config",
            USAGE,
        )
    code = OK
    with reading(found) as store:
        from stepwell_store import StoreError

        for path in files:
            try:
                rows = replay(path, store)
            except (ReplayError, StoreError) as error:
                print(f"stepwell: {error}", file=sys.stderr)
                code = FAILED
                continue
            print(f"{path.name}: {counted(rows, 'row')} stored")
    return code
