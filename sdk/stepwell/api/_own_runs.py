"""Runs that this process has just ended: whoever reads then finds them with all their values."""

import time
from typing import TYPE_CHECKING, Final

from stepwell import _session
from stepwell.errors import HubError, HubUnreachableError

if TYPE_CHECKING:
    from stepwell._hub_client import Hub

_WAIT_SECONDS: Final = 10.0
_RECENT_SECONDS: Final = 60.0
_ASK_SECONDS: Final = 0.05


def await_own_runs(hub: "Hub") -> None:
    """Wait, 10 s at most, until the hub has the end of each run that this process ended lately.

    `finish` returns when the daemon has all; the daemon stores it a moment later. Runs of another
    hub are not waited for.
    """
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            run = _session.ended.popleft()
        except IndexError:
            return
        if run.page_url != hub.url or time.monotonic() - run.ended_at > _RECENT_SECONDS:
            continue
        while not _has_ended(hub, run):
            if time.monotonic() >= deadline:
                return
            time.sleep(_ASK_SECONDS)


def _has_ended(hub: "Hub", run: _session.EndedRun) -> bool:
    try:
        facts = hub.ask("GET", "projects", run.project, "runs", run.run_id)
        return bool(facts["state"] != "running")
    except HubUnreachableError:
        return True  # The call that follows tells it.
    except HubError:
        return False  # Not there yet; or the store's tables are not, of a daemon that just began.
