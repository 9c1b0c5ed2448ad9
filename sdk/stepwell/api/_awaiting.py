"""Waiting for rows that were logged before a read and are not stored yet."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from stepwell import _session
from stepwell._session import EndedRun
from stepwell.errors import HubAccessError, HubError, HubUnreachableError

if TYPE_CHECKING:
    from stepwell._hub_client import Hub

_WAIT_SECONDS: Final = 10.0
_START_SECONDS: Final = 60.0
_RECENT_SECONDS: Final = 60.0
_ASK_SECONDS: Final = 0.05
_MEDIA_ASK_SECONDS_MAX: Final = 1.0
_FLUSH_PAUSE_SECONDS: Final = 0.2
"""No other script starts, logs and ends in this time."""
_NO_FLUSH_SECONDS: Final = 60.0
"""After a flush that failed: no daemon, one that cannot store, or an older hub."""


def await_rows(hub: "Hub") -> None:
    """Wait until the hub has the rows that were logged before, at most 10 seconds for each half.

    Runs at work in this process send their rows first. After `finish` the daemon has all rows, and
    stores them a moment later. The hub knows only the daemon of its own node. So the ends of this
    process's runs are looked for too.

    Raises:
        HubUnreachableError: No answer came in time.
        HubAccessError: The key is missing or wrong.
    """
    _flush(hub)
    await_own_runs(hub)


def await_own_daemon() -> None:
    """Wait until the daemon answers that a run of this process is about to start, if one is."""
    deadline = time.monotonic() + _START_SECONDS
    for run in _session.active.copy():
        run.flush(deadline - time.monotonic())


def _flush(hub: "Hub") -> None:
    """Have the runs of this process send their rows, and the daemon of the hub's node store them.

    The daemon is not asked if it was a moment ago, and this process has sent nothing since.
    """
    seconds = min(_WAIT_SECONDS, hub.timeout_seconds / 2)
    sent = _send_own_rows(hub, seconds)
    now = time.monotonic()
    if now < hub.no_flush_before or (now < hub.flushed_until and sent == hub.sent_rows):
        return
    is_stored = False
    try:
        is_stored = hub.post("/flush", {"timeout_seconds": seconds})["stored"]
    except (HubUnreachableError, HubAccessError):
        raise
    except HubError:
        pass  # A hub of an older release.
    now = time.monotonic()
    if is_stored:
        hub.flushed_until, hub.sent_rows = now + _FLUSH_PAUSE_SECONDS, sent
    else:
        hub.no_flush_before = now + _NO_FLUSH_SECONDS


def _send_own_rows(hub: "Hub", wait_seconds: float) -> dict[str, int]:
    """Wait until the daemon has what the runs of this process have logged.

    Returns:
        the bytes that each of them has written, by writer id.
    """
    deadline = time.monotonic() + wait_seconds
    sent = {}
    for run in _session.active.copy():
        journal = run._writer.journal
        if journal is None:
            continue
        sent[journal.info.writer_id] = journal.committed  # Now: another thread may log meanwhile.
        if time.monotonic() >= hub.no_sending_before:
            is_sent = run.flush(deadline - time.monotonic())
            if not is_sent and time.monotonic() >= deadline:  # An offline run gives up at once.
                hub.no_sending_before = time.monotonic() + _NO_FLUSH_SECONDS
    return sent


def await_own_runs(hub: "Hub", *, wait_seconds: float = _WAIT_SECONDS) -> None:
    """Wait until the hub has the end of each run that this process ended in the last minute.

    Runs of another hub are skipped, and so is a run whose earlier wait timed out.
    """
    deadline = time.monotonic() + wait_seconds
    for run in [each for each in _session.ended.copy() if each.page_url == hub.url]:
        while (
            time.monotonic() - run.ended_at <= _RECENT_SECONDS
            and time.monotonic() < deadline
            and not _has_end(hub, run)
        ):
            time.sleep(_ASK_SECONDS)
        # Only now: another thread may wait for the same run, and may have removed it.
        with suppress(ValueError, IndexError):
            _session.ended.remove(run)


def await_media(is_stored: Callable[[], bool]) -> None:
    """Wait until ``is_stored``, which asks the hub, at most 10 seconds."""
    deadline = time.monotonic() + _WAIT_SECONDS
    pause = _ASK_SECONDS
    while not is_stored() and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(pause, left))
        pause = min(2 * pause, _MEDIA_ASK_SECONDS_MAX)


def await_ended_media(
    hub: "Hub", project: str, run_id: str, is_stored: Callable[[], bool], *, ended_at: float | None
) -> None:
    """Ask ``is_stored`` once; if the run has just ended, until it is or 10 seconds.

    Blobs arrive after the end of their run: the daemon hashes and stores each one.

    Args:
        ended_at: of a run that any process ended, in seconds since 1970; None: not known.
    """
    is_recent = ended_at is not None and abs(time.time() - ended_at) <= _RECENT_SECONDS
    place = (hub.url, project, run_id)
    own = [each for each in _session.ended_media.copy() if each[:3] == place]
    if is_recent or any(time.monotonic() - each.ended_at <= _RECENT_SECONDS for each in own):
        await_media(is_stored)
    else:
        is_stored()
    for run in own:
        with suppress(ValueError, IndexError):
            _session.ended_media.remove(run)


def _has_end(hub: "Hub", run: EndedRun) -> bool:
    """Return whether the hub has the end of this process's part: other ranks may still run."""
    try:
        found = hub.ask("GET", "projects", run.project, "runs", run.run_id, "writers")["writers"]
    except (HubUnreachableError, HubAccessError):
        return True  # The next call raises the error.
    except HubError:
        return False  # The run, or the tables of a new daemon's store, do not exist yet.
    return any(each["writer_id"] == run.writer_id and each["state"] != "running" for each in found)
