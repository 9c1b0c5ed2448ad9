"""The daemon on its socket, its data folder and its spool."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from stepwell.cli.checks.finding import Finding, Level
from stepwell.cli.daemon_client import UnansweredError, UnusableSocketError, status_of
from stepwell.cli.errors import CommandError
from stepwell.cli.extras import require_store
from stepwell.cli.options import Places
from stepwell.cli.status import spool_text, waiting_bytes
from stepwell.cli.text import bytes_text, counted, seconds_text
from stepwell_wire.commands import shell_word
from stepwell_wire.owners import command_as, foreign_owner
from stepwell_wire.places import SOCKET_VARIABLE
from stepwell_wire.trusted_socket import OWNER_VARIABLE

_FREE_BYTES_FAIL: Final = 256 << 20
_FREE_BYTES_WARN: Final = 5 << 30
_SPOOL_RATIO_WARN: Final = 0.5
_UNFORWARDED_SECONDS_WARN: Final = 60.0
_LEFT: Final = ("dead_letter", "quarantine")
_REMOTE: Final = ("nfs", "cifs", "smb", "fuse.sshfs", "lustre", "beegfs", "ceph", "9p", "gpfs")


class DaemonStatus(NamedTuple):
    fields: dict[str, Any]
    data_dir: Path


def daemon(where: Places) -> tuple[DaemonStatus | None, list[Finding]]:
    """Return the daemon's status, if one answers, and what is to be said of its socket."""
    path = where.socket
    try:
        fields = status_of(path)
    except UnusableSocketError as error:
        return None, [unusable(path, error)]
    except UnansweredError as error:
        return None, [Finding("daemon", Level.FAIL, error.problem, error.remedy)]
    except CommandError as error:  # It has an older release, and the error says what to do.
        return None, [Finding("daemon", Level.FAIL, str(error))]
    except ImportError as error:
        return None, [
            Finding("daemon", Level.FAIL, f"grpc cannot be imported: {error}", "see above")
        ]
    if fields is None:
        return None, [unanswered(path)]
    found = DaemonStatus(fields, Path(fields["data_dir"]))
    findings = [permissions(path)]
    message = (
        f"pid {fields['pid']}, {fields['version']}, up {seconds_text(fields['uptime_seconds'])}"
    )
    findings.append(Finding("daemon", Level.OK, message))
    findings += [
        Finding("daemon", Level.WARN if fields["ready"] else Level.FAIL, str(each))
        for each in fields["problems"]
        if not _is_reported_elsewhere(str(each), fields)
    ]
    refused = sum(fields["totals"].get("refused", {}).values())
    if refused:
        reasons = ", ".join(f"{key} {n}" for key, n in fields["totals"]["refused"].items())
        findings.append(
            Finding(
                "daemon",
                Level.WARN,
                f"{counted(refused, 'frame')} refused since its start ({reasons})",
                "see the daemon's log for the writers that sent them",
            )
        )
    return found, findings


def _is_reported_elsewhere(problem: str, fields: dict[str, Any]) -> bool:
    """Return whether another check says the same, with a remedy."""
    errors = [fields["spool"].get("failure"), fields["sink"].get("last_error")]
    if any(error and error in problem for error in errors):
        return True
    # As the status words it: the checks `spool`, `dead letters` and `quarantine` look themselves.
    folders = [os.path.join(fields["data_dir"], "spool", name) for name in _LEFT]
    blobs = fields.get("blobs") or {}
    if blobs.get("problem") and blobs["problem"] in problem:
        return True
    is_full = fields["spool"].get("full") and problem.startswith("the spool is full")
    return bool(is_full) or any(each in problem for each in folders)


def unusable(path: Path, error: UnusableSocketError) -> Finding:
    """Return why this user cannot use the socket at ``path``."""
    if error.owner is None:
        return unanswered(path)
    return Finding(
        "socket",
        Level.FAIL,
        error.problem,
        f"use another socket, with --socket or {SOCKET_VARIABLE}; or set {OWNER_VARIABLE}="
        f"{error.owner} if you want to use that user's daemon; or ask that user to end the program",
    )


def unanswered(path: Path) -> Finding:
    """Return the finding for ``path``, at which no daemon answers."""
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        return Finding(
            "socket",
            Level.WARN,
            f"no daemon on {path}",
            "start one with `stepwell up`; not needed if runs start a personal daemon",
        )
    except OSError as error:
        return Finding(
            "socket",
            Level.FAIL,
            f"{path}: {error.strerror}",
            "give your group access to the folder, or set another STEPWELL_SOCKET",
        )
    if not stat.S_ISSOCK(kind):
        return Finding(
            "socket", Level.FAIL, f"{path} is not a socket", "move it away, or use another path"
        )
    if not os.access(path, os.W_OK):
        return Finding(
            "socket",
            Level.FAIL,
            f"{path}: no permission to write to it",
            f"join its group: sudo usermod -aG {_group(path)} $USER, then log in again",
        )
    return Finding(
        "socket",
        Level.WARN,
        f"{path}: no process listens, its daemon was killed",
        "no action needed, the next daemon replaces it",
    )


def unknown_data(where: Places) -> Finding:
    """Say that no data was looked at: the daemon of a named socket would know where it is."""
    return Finding(
        "data",
        Level.FAIL,
        f"no daemon answers on {where.socket}, and its data folder is unknown; spool, store "
        "and journals were not checked",
        "start that daemon, give its folder with --data or STEPWELL_DATA, or remove --socket "
        "and STEPWELL_SOCKET for your own daemon",
    )


def permissions(path: Path) -> Finding:
    """Return who may reach the socket."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & stat.S_IWOTH and _open_to_all(path.parent):
        return Finding(
            "socket",
            Level.WARN,
            f"{path}: every user of this machine may write to it (mode {mode:04o})",
            f"chmod o-rwx {shell_word(path)}, if this is not intended",
        )
    return Finding("socket", Level.OK, f"{path} (mode {mode:04o})")


def _open_to_all(folder: Path) -> bool:
    return all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.parents))


def _group(path: Path) -> str:
    try:
        return path.group()
    except KeyError:
        return str(path.stat().st_gid)


def data_dir(path: Path) -> Iterator[Finding]:
    """Yield whether data can be written at ``path``, and how much."""
    place = next(each for each in (path, *path.parents) if each.is_dir())
    if not os.access(place, os.W_OK | os.X_OK):
        other = "give another folder with --data or STEPWELL_DATA"
        if os.statvfs(place).f_flag & os.ST_RDONLY:
            yield Finding("data", Level.FAIL, f"{place} is on a read-only file system", other)
            return
        owner = foreign_owner(place)
        yield Finding(
            "data",
            Level.FAIL,
            f"{place}: no permission to write there",
            f"run this as user {owner}, or {other}" if owner else f"change its owner, or {other}",
        )
        return
    kind = file_system(place)
    if any(kind.startswith(remote) for remote in _REMOTE):
        yield Finding(
            "data",
            Level.WARN,
            f"{place} is on {kind}",
            "use a local disk for spool and store: fsync is slow or has no effect there",
        )
    else:
        yield Finding("data", Level.OK, f"{path}" + (f" on {kind}" if kind else ""))
    yield free_space(place, shutil.disk_usage(place).free)


def closed_data(data: Path, owner: str) -> Finding:
    """Return the finding for the folder of a daemon that ``owner`` runs for other users."""
    return Finding(
        "data",
        Level.OK,
        f"{data} belongs to user {owner}, who runs the daemon; its content was not checked",
        f"`{command_as(owner, 'stepwell doctor')}` checks all of it",
    )


def free_space(place: Path, free_bytes: int) -> Finding:
    """Return whether ``free_bytes`` are enough to go on with."""
    message = f"{bytes_text(free_bytes)} free in {place}"
    if free_bytes < _FREE_BYTES_FAIL:
        return Finding(
            "disk",
            Level.FAIL,
            message,
            "free space now: media already wait. Points are accepted until the disk is full; then "
            "they wait in the journals, and the newest are dropped if those are on this disk",
        )
    if free_bytes < _FREE_BYTES_WARN:
        return Finding(
            "disk", Level.WARN, message, "free space, or delete old runs with `stepwell rm`"
        )
    return Finding("disk", Level.OK, message)


def file_system(path: Path) -> str:
    """Return the kind of file system that holds ``path``, "" where it is not known."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return ""
    resolved = path.resolve()
    best, kind = -1, ""
    for _, point, name, *_ in mounts:
        mounted = Path(point.replace("\\040", " "))
        if resolved.is_relative_to(mounted) and len(mounted.parts) > best:
            best, kind = len(mounted.parts), name
    return kind


def idle_spool(data: Path) -> Iterator[Finding]:
    """Yield what waits in the spool of ``data`` while no daemon answers, and what is gone of it."""
    folder = data / "spool"
    if not folder.is_dir():
        return
    try:
        require_store()  # Decoding needs numpy.
    except CommandError as error:
        yield Finding("spool", Level.WARN, str(error), "see above")
        return
    from stepwell_daemon.spool.inspection import damage_text, glance_at_spool

    try:
        report = glance_at_spool(folder)
    except FileNotFoundError:
        return  # A folder without a spool.
    for each in report.damage:
        remedy = "see `stepwell spool verify`; the daemon skips the damage when it starts"
        yield Finding("spool", Level.WARN, damage_text(each), remedy)
    if report.waiting_bytes:
        yield Finding(
            "spool",
            Level.WARN,
            f"{bytes_text(report.waiting_bytes)} wait in {folder}, and no daemon sends them",
            "start the daemon: `stepwell up`, or its service",
        )
    elif not report.damage:
        yield Finding("spool", Level.OK, f"no data waits in {folder}")


def spool(status: DaemonStatus) -> Iterator[Finding]:
    """Yield how full the spool of the daemon is, and whether the disk has room for the rest."""
    held = status.fields["spool"]
    oldest = held.get("oldest_unforwarded_seconds") or 0.0
    message = spool_text(held)
    full = waiting_bytes(held) > _SPOOL_RATIO_WARN * held["bytes_max"]
    late = oldest > _UNFORWARDED_SECONDS_WARN
    if held.get("failure"):
        yield Finding(
            "spool",
            Level.FAIL,
            held["failure"],
            f"free space in {status.data_dir}, or repair its disk; writers keep their journals",
        )
    if held.get("full"):
        yield Finding(
            "spool",
            Level.FAIL,
            f"full: {message}",
            "fix the sink, or raise spool_bytes_max and start the daemon again; writers keep "
            "their journals",
        )
    else:
        remedy = (
            "see the check of the sink below; no points are lost while the spool has room"
            if full or late
            else ""
        )
        yield Finding("spool", Level.WARN if remedy else Level.OK, message, remedy)
    if room := held["bytes_max"] - waiting_bytes(held):
        yield from _room(status.data_dir, room)


def _room(data: Path, room: int) -> Iterator[Finding]:
    try:
        free = shutil.disk_usage(data).free
    except OSError:
        return
    if room > free:
        yield Finding(
            "disk",
            Level.WARN,
            f"the spool may grow by {bytes_text(room)}, but only {bytes_text(free)} are free "
            f"in {data}",
            "free space, or lower spool_bytes_max: otherwise a long outage of the sink "
            "fills the disk",
        )
