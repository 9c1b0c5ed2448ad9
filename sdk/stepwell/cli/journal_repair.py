"""`stepwell journal repair`: replaces damaged parts by padding, after printing its plan."""

import argparse
import contextlib
import sys
from pathlib import Path
from typing import Final

from stepwell.cli.errors import FAILED, OK, USAGE, CommandError
from stepwell.cli.options import add_data
from stepwell.cli.text import counted, plain
from stepwell_wire.errors import WireError
from stepwell_wire.journal_files import UNVERIFIED_SUFFIX, WRITER_FILE, WriterFile

UNVERIFIED: Final = (
    "contains only bytes that cannot be verified after a restart of the machine; keep the "
    "readable part of them with `stepwell journal repair --unverified`, or delete the folder"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folders", nargs="*", type=Path, metavar="DIR", help="a journal, or a folder of them"
    )
    add_data(parser)
    parser.add_argument(
        "--yes", action="store_true", help="repair; without it, only print what would be lost"
    )
    parser.add_argument(
        "--unverified",
        action="store_true",
        help="also keep bytes that cannot be verified after a restart of the machine",
    )
    for name, what in (
        ("project", "the project, if writer.json cannot be read"),
        ("run", "the id of the run, if writer.json cannot be read"),
        ("writer", "the id of the writer; default: the part of DIR's name after the id of the run"),
    ):
        parser.add_argument(f"--{name}", help=what)


def repair(options: argparse.Namespace, folders: list[Path], unverified: list[Path]) -> int:
    from stepwell_wire.repair import plan_repair

    code, waiting = OK, 0
    _check_owner(options, [*folders, *unverified] if options.unverified else folders)
    if options.unverified:
        folders = [*folders, *unverified]
    else:
        for path in unverified:
            print(f"{path}: {UNVERIFIED}")
    for path in folders:
        try:
            planned = plan_repair(
                path, info=_named_writer(options, path), unverified=options.unverified
            )
            if not _has_owner(path):
                whose = planned.info
                print(
                    f"{path}: assigned to {plain(whose.project)}/{plain(whose.run_id)}, "
                    f"writer {plain(whose.writer_id)}"
                )
            for each in planned.damage:
                print(f"{path}: position {each.position}: {each.size} bytes, {each.what}")
            if planned.unverified_bytes:
                print(
                    f"{path}: {planned.unverified_bytes} bytes cannot be verified, as the "
                    "machine restarted; --unverified keeps the readable part of them"
                )
            if not planned.is_needed:
                print(f"{path}: nothing to repair")
            elif options.yes:
                print(f"{path}: repaired; original files: {planned.apply()}")
            else:
                waiting += 1
        except WireError as error:
            print(f"stepwell: {error}", file=sys.stderr)
            code = FAILED
    if waiting:
        print(
            f"nothing was changed; add --yes to repair {counted(waiting, 'journal')}",
            file=sys.stderr,
        )
        return FAILED
    return code


def _named_writer(options: argparse.Namespace, path: Path) -> WriterFile | None:
    """Return the writer that the options name for the journal; None without them."""
    if not (options.project or options.run or options.writer):
        return None
    if not (options.project and options.run):
        raise CommandError("--project and --run: only one is given; give both", USAGE)
    prefix = f"{options.run}-"
    if not options.writer and not path.name.startswith(prefix) and not _has_owner(path):
        raise CommandError(
            f"{path}: expected a folder RUN-WRITER, but this name does not begin "
            f"with {prefix}; correct --run, or give --writer too",
            USAGE,
        )
    named = WriterFile(options.project, options.run, options.writer or path.name[len(prefix) :])
    try:
        return WriterFile.from_json(named.to_json())
    except ValueError as error:
        raise CommandError(f"--project, --run or --writer: {error}", USAGE) from error


def _check_owner(options: argparse.Namespace, folders: list[Path]) -> None:
    """Refuse to give several journals to one run: each is a separate run, or a rank."""
    if not options.run:
        return
    unassigned = [path for path in folders if not _has_owner(path)]
    if len(unassigned) > 1:
        raise CommandError(
            f"--run is for one journal, and {len(unassigned)} have an unreadable writer.json; "
            f"give one of {', '.join(map(str, unassigned[:5]))}{', …' if unassigned[5:] else ''}",
            USAGE,
        )


def _has_owner(path: Path) -> bool:
    for name in (WRITER_FILE, WRITER_FILE + UNVERIFIED_SUFFIX):
        with contextlib.suppress(OSError, ValueError):
            WriterFile.from_json((path / name).read_text("utf-8"))
            return True
    return False
