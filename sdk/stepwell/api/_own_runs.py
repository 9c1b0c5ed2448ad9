"""Runs that this process has just ended: whoever reads then finds them with all their values."""

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from stepwell import _session
from stepwell._session import EndedRun
from stepwell.errors import HubAccessError, HubError, HubUnreachableError

if TYPE_CHECKING:
    from stepwell._hub_client import Hub

_WAIT_SECONDS: Final = 10.0
_RECENT_SECONDS: Final = 60.0
_ASK_SECONDS: Final = 0.05


def await_own_runs(hub: "Hub", *, wait_seconds: float = _WAIT_SECONDS) -> None:
    """Wait until the hub has the end of each run that this process ended in the last minute.

    `finish` returns when the daemon has all; the daemon stores it a moment later. Runs of another
    hub are not waited for, and a run for which the time was too short not a second time.
    """
    deadline = time.monotonic() + wait_seconds
    for run in [each for each in _session.ended.copy() if each.page_url == hub.url]:
        while (
            time.monotonic() - run.ended_at <= _RECENT_SECONDS
            and time.monotonic() < deadline
            and not _has_end(hub, run)
        ):
            time.sleep(_ASK_SECONDS)
        # Only now: a call of another thread waits for it as well, and may have removed it.
        with suppress(ValueError, IndexError):
            _session.ended.remove(run)


def _has_end(hub: "Hub", run: EndedRun) -> bool:
    """Return whether the hub has the end of this process's part: other ranks may still run."""
    try:
        found = hub.ask("GET", "projects", run.project, "runs", run.run_id, "writers")["writers"]
    except (HubUnreachableError, HubAccessError):
        return True  # The call that follows tells it.
    except HubError:
        return False  # Not there yet; or the store's tables are not, of a daemon that just began.
    return any(each["writer_id"] == run.writer_id and each["state"] != "running" for each in found)
