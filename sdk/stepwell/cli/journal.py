"""`stepwell journal …`: shows and repairs the journals of writers."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from stepwell._other_users import is_closed, journals_of_others, without_others
from stepwell._tracker_files import has_journals, no_journal_text
from stepwell.cli import journal_repair
from stepwell.cli.errors import FAILED, NOT_FOUND, OK, UNREACHABLE, CommandError
from stepwell.cli.extras import missing_modules, require_numpy
from stepwell.cli.journal_repair import UNVERIFIED
from stepwell.cli.options import add_data, add_json, count, places
from stepwell.cli.text import bytes_text, counted, json_text, of_others_text, plain
from stepwell_wire.errors import JournalError, MalformedRecordsError, WireError
from stepwell_wire.journal import JournalReader
from stepwell_wire.journal_files import (
    WRITER_FILE,
    find_journals,
    find_remains,
)
from stepwell_wire.records import (
    EVENT_SCHEMA,
    FINISH,
    HEADER_BYTES,
    PADDING_SCHEMA,
    SCHEMA,
    scan_records,
    unpack_event,
)

_VALUE_BYTES: Final = 8
_READ_BYTES: Final = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, what in (
        ("verify", "read and check every record"),
        ("dump", "print every row and event as a line of JSON"),
    ):
        action = actions.add_parser(name, help=what)
        action.add_argument(
            "folders", nargs="*", type=Path, metavar="DIR", help="a journal, or a folder of them"
        )
        add_data(action)
        if name == "verify":
            add_json(action)
        else:
            action.add_argument("--limit", type=count, default=0, help="stop after LIMIT lines")
    journal_repair.add_arguments(
        actions.add_parser(
            "repair", help="replace damaged bytes by padding, so that the rest can be sent"
        )
    )


def run(options: argparse.Namespace) -> int:
    if options.action != "verify":
        require_numpy()  # To decode rows.
    folders: list[Path] = []
    unverified: list[Path] = []
    for named in options.folders or [places(options).journals]:
        if options.folders and named.is_dir() and not has_journals(named):
            raise CommandError(no_journal_text(named), NOT_FOUND)
        found, doubtful = _journals_in(named)
        folders += found
        unverified += doubtful
    if options.action == "dump":
        return _dump(options, folders)
    if options.action == "repair":
        return journal_repair.repair(options, folders, unverified)
    return _verify(options, folders, unverified)


def _journals_in(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the journals in ``folder``, and folders of data that is in doubt after a restart."""
    if not folder.is_dir():
        raise CommandError(
            f"{folder}: no such folder; name the folder of journals as DIR or in STEPWELL_DIR",
            UNREACHABLE,
        )
    if is_closed(folder):
        raise CommandError(f"{folder}: no permission to look into this folder", FAILED)
    if (folder / WRITER_FILE).exists() or any(folder.glob("*.seg*")):
        return [folder], []
    ownerless, doubtful = map(without_others, find_remains(folder))
    if others := len(journals_of_others(folder)):
        print(
            f"stepwell: {of_others_text(others)} not read in {folder}; they or root can read them",
            file=sys.stderr,
        )
    return [*without_others(find_journals(folder)), *ownerless], doubtful


def _verify(options: argparse.Namespace, folders: list[Path], unverified: list[Path]) -> int:
    reports = [_examine(path) for path in folders]
    reports += [{"path": str(path), "whole": False, "error": UNVERIFIED} for path in unverified]
    if options.json:
        print(json_text({"journals": reports}))
    else:
        for each in reports:
            _print_report(each)
        damaged = sum(not each["whole"] for each in reports)
        print(f"{counted(len(reports), 'journal')}, {damaged} damaged")
        if damaged:
            print("`stepwell journal repair` prints the readable part of them, and changes nothing")
    return OK if all(each["whole"] for each in reports) else FAILED


def _print_report(report: dict[str, Any]) -> None:
    if "run_id" not in report:
        where = "" if report["error"].startswith(report["path"]) else f"{report['path']}: "
        print(f"{where}{plain(report['error'])}")
        return
    print(
        f"{plain(report['project'])}/{plain(report['run_id'])} {report['path']}: "
        f"{counted(report['rows'], 'row')}, {counted(report['points'], 'point')}, "
        f"{counted(report['events'], 'event')}, "
        f"{bytes_text(report['committed'] - report['oldest'])} held, "
        f"{bytes_text(max(0, report['committed'] - report['acked']))} not acknowledged, "
        f"{_state(report)}"
    )
    if report["unverified_bytes"] and not report["error"]:
        print(
            f"  {report['unverified_bytes']} bytes cannot be verified, as the machine "
            "restarted, and are not sent"
        )
    if report["error"]:
        print(f"  damaged: {plain(report['error'])}")


def _state(report: dict[str, Any]) -> str:
    if report["in_use"]:
        return "in use"
    return "ended" if report["finished"] else "ended without `finish`"


def _examine(path: Path) -> dict[str, Any]:
    report: dict[str, Any] = {"path": str(path), "whole": False, "error": ""}
    try:
        with closing(JournalReader(path)) as reader:
            report |= {
                "project": reader.info.project,
                "run_id": reader.info.run_id,
                "writer_id": reader.info.writer_id,
                "in_use": reader.writer_is_alive(),
                "oldest": reader.oldest,
                "committed": reader.committed,
                "acked": reader.acked,
                "unverified_bytes": reader.unverified_bytes,
                "rows": 0,
                "points": 0,
                "events": 0,
                "finished": False,
            }
            if not report["in_use"]:
                report["error"] = reader.damage()
            try:
                if missing_modules(("numpy",)):
                    _count_records(reader, report)
                else:
                    _count_decoded(reader, report)
            except WireError as error:
                report["error"] = report["error"] or str(error)
            # An active writer always has some bytes that are not verified yet.
            doubtful = report["unverified_bytes"] and not report["in_use"]
            report["whole"] = not (report["error"] or doubtful)
    except WireError as error:
        report["error"] = str(error).removeprefix(f"{path}: ")
    except OSError as error:
        report["error"] = f"{error.filename or path}: {error.strerror}"
    return report


def _count_decoded(reader: JournalReader, report: dict[str, Any]) -> None:
    for decoded, _ in _decoded(reader):
        report["rows"] += decoded.row_count
        report["points"] += decoded.point_count
        report["events"] += len(decoded.events)
        report["finished"] |= any(event.kind == FINISH for event in decoded.events)


def _count_records(reader: JournalReader, report: dict[str, Any]) -> None:
    """Count without numpy. The number of values of a row is not checked here."""
    position, end = reader.oldest, reader.committed
    while position < end and (records := reader.read(position, _READ_BYTES)):
        try:
            for record in scan_records(records):
                if record.schema == EVENT_SCHEMA:
                    kind, _ = unpack_event(records, record)
                    report["events"] += kind != SCHEMA
                    report["finished"] |= kind == FINISH
                elif record.schema != PADDING_SCHEMA:
                    report["rows"] += 1
                    report["points"] += (record.size - HEADER_BYTES) // _VALUE_BYTES
        except MalformedRecordsError as error:
            raise JournalError(f"{reader.path}: after position {position}: {error}") from error
        position += len(records)


def _decoded(reader: JournalReader) -> Iterator[tuple[Any, dict[int, tuple[str, ...]]]]:
    """Yield the records in parts, decoded, with the schemas known after each part."""
    from stepwell_wire.rows import decode_records

    schemas: dict[int, tuple[str, ...]] = {}
    position, end = reader.oldest, reader.committed
    while position < end:
        records = reader.read(position, _READ_BYTES)
        if not records:
            return
        try:
            decoded, defined = decode_records(records, schemas)
        except MalformedRecordsError as error:
            raise JournalError(f"{reader.path}: after position {position}: {error}") from error
        schemas |= defined
        yield decoded, schemas
        position += len(records)


def _dump(options: argparse.Namespace, folders: list[Path]) -> int:
    code, shown = OK, 0
    for path in folders:
        try:
            with closing(JournalReader(path)) as reader:
                for line in _lines(reader):
                    print(json_text(line, indent=None))
                    shown += 1
                    if options.limit and shown >= options.limit:
                        return code
        except WireError as error:
            print(json_text({"path": str(path), "error": str(error)}, indent=None))
            code = FAILED
    return code


def _lines(reader: JournalReader) -> Iterator[dict[str, Any]]:
    where = {"run_id": reader.info.run_id, "writer_id": reader.info.writer_id}
    for decoded, schemas in _decoded(reader):
        for event in decoded.events:
            yield {**where, "event": event.kind, "step": event.step, "body": event.body}
        for group in decoded.rows:
            keys = schemas[group.schema]
            for step, time_us, values in zip(
                group.steps.tolist(), group.times.tolist(), group.values.tolist(), strict=True
            ):
                yield {
                    **where,
                    "step": step,
                    "time_us": time_us,
                    "values": dict(zip(keys, values, strict=True)),
                }
