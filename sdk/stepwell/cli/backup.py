"""`stepwell backup DIR`: a copy of a data folder, with or without a running daemon.

The copy is a data folder: every command reads it with --data, and a daemon can run on it. It holds
everything that the daemon acknowledged before the command began.

    1  the daemon stores as much as it can in some seconds; waiting media and artifacts are copied
    2  held, for a moment: no block is stored. Parts are frozen, segments opened, small files copied
    3  the daemon continues; parts, segments, key, catalog and media are copied
    4  the copy gets its name
"""

import argparse
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from stepwell.cli.daemon_client import DaemonClient, UnusableSocketError, is_answered
from stepwell.cli.errors import OK, UNREACHABLE, USAGE, CommandError
from stepwell.cli.extras import require_daemon
from stepwell.cli.options import add_data, add_json, add_socket, places
from stepwell.cli.output import signals_raised
from stepwell.cli.reading import reading
from stepwell.cli.text import bytes_text, json_text
from stepwell_wire.hub_access import KEY_FILE, hub_dir
from stepwell_wire.lock_notes import DATA_LOCK, read_lock_note

if TYPE_CHECKING:
    from stepwell_daemon.spool.segment import Location
    from stepwell_store import EmbeddedStore

_HOLD_SECONDS: Final = 60.0
_CATALOG: Final = "catalog.db"
_QUEUE: Final = "blobs"
_QUEUED: Final = ("waiting", "failed")
_MEDIA: Final = "blobstore"
_DRAFTS: Final = "artifacts/waiting"
_PARTIAL: Final = ".partial"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, metavar="DIR", help="the folder to create; it must not exist"
    )
    add_data(parser)
    add_socket(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    require_daemon()
    where = places(options)
    target: Path = options.folder.expanduser().absolute()
    partial = target.with_name(f"{target.name}{_PARTIAL}")
    for path in (target, partial):
        if os.path.lexists(path):
            raise CommandError(f"{path} exists; name another folder, or delete this one", USAGE)
    from stepwell_store import EmbeddedStore

    with reading(where, reports_missing=False) as store:
        if not isinstance(store, EmbeddedStore):
            raise CommandError(
                f"the store is {store.kind}; back it up with the servers' BACKUP DATABASE",
                USAGE,
            )
        data = store.data_dir.absolute()
        if target.is_relative_to(data):
            raise CommandError(
                f"{target} is in the data folder; name a folder outside of it", USAGE
            )
        with signals_raised():
            try:
                copied = _copy(store, where.socket, partial)
                partial.rename(target)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
    if options.json:
        print(json_text({"folder": str(target), "data": str(data), "bytes": copied}))
    else:
        print(f"{target}: {bytes_text(copied)}, a copy of {data}")
    return OK


def _copy(store: "EmbeddedStore", socket: Path, target: Path) -> int:
    """Copy the store's data folder to ``target``; return the bytes of store, spool and media."""
    from stepwell_daemon.errors import DamagedStateError
    from stepwell_daemon.spool.copying import SpoolCopy
    from stepwell_store.copying import copy_file, copy_tree, make_folder
    from stepwell_store.frozen import FrozenStore

    data = store.data_dir.absolute()
    # Before the spool: the event of a blob that leaves the queue later is in the spool's copy, or
    # the blob is in the queue's.
    copied = sum(copy_tree(data / _QUEUE / name, target / _QUEUE / name) for name in _QUEUED)
    copied += copy_drafts(data / _DRAFTS, target / _DRAFTS)
    with ExitStack() as opened:
        with _held(data, socket) as end:
            frozen = opened.enter_context(closing(FrozenStore(store, target)))
            try:
                spool = opened.enter_context(closing(SpoolCopy(data / "spool", end)))
            except DamagedStateError as error:
                raise CommandError(f"{error}; run `stepwell spool verify` for details") from error
        copied += frozen.copy_parts() + spool.write(target / "spool")
    make_folder(hub_dir(target))
    copy_file(hub_dir(data) / KEY_FILE, hub_dir(target) / KEY_FILE)
    # Before the blobs: a version's blobs exist before the catalog says that it is committed.
    _copy_catalog(hub_dir(data) / _CATALOG, hub_dir(target) / _CATALOG)
    return copied + copy_tree(data / _MEDIA, target / _MEDIA)


def copy_drafts(source: Path, target: Path) -> int:
    """Copy the artifacts that wait to be committed; return their bytes.

    One that is committed meanwhile is left out: the catalog, which is copied later, has it. The
    times of files are kept: they show whether a file was changed.
    """
    from stepwell_store.copying import copy_tree

    copied = 0
    keys = sorted(os.listdir(source)) if source.is_dir() else []
    for key in keys:
        copied += copy_tree(source / key, target / key)
        try:
            for name in os.listdir(target / key):
                found = (source / key / name).stat()
                os.utime(target / key / name, ns=(found.st_atime_ns, found.st_mtime_ns))
        except FileNotFoundError:
            shutil.rmtree(target / key, ignore_errors=True)
    return copied


@contextmanager
def _held(data: Path, socket: Path) -> Iterator["Location | None"]:
    """Keep store and cursor consistent; yield the end of acknowledged data, None if no daemon."""
    try:
        has_daemon = is_answered(socket)
    except UnusableSocketError:  # Another user's: the lock shows whether a daemon has it.
        has_daemon = False
    if not has_daemon:
        with _locked(data):
            yield None
        return
    from stepwell_daemon.spool.segment import Location

    with DaemonClient(socket) as daemon:
        if not os.path.samefile(daemon.status()["data_dir"], data):
            with _locked(data):
                yield None
            return
        with daemon.hold(_HOLD_SECONDS) as place:
            yield Location(*place)


@contextmanager
def _locked(data: Path) -> Iterator[None]:
    """Lock the folder against daemons.

    Raises:
        CommandError: A daemon on another socket has it.
    """
    path = data / DATA_LOCK
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        note = read_lock_note(path)
        raise CommandError(
            f"the daemon on {note.more or 'another socket'} (pid {note.pid or '?'}) uses {data}; "
            "give its socket with --socket, or stop it first",
            UNREACHABLE,
        ) from error
    finally:
        os.close(descriptor)


def _copy_catalog(source: Path, target: Path) -> None:
    """Copy a consistent snapshot of the hub's catalog, also while it is written."""
    if not source.exists():
        return
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with (
            closing(sqlite3.connect(f"file:{quote(str(source))}?mode=ro", uri=True)) as ours,
            closing(sqlite3.connect(target)) as copy,
        ):
            ours.backup(copy)
    except sqlite3.Error as error:
        raise CommandError(f"{source}: copying the catalog failed ({error})") from error
