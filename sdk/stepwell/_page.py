"""Addresses of the pages of a run and of a sweep, and the end of the line about a run."""

import time

from stepwell_wire.commands import command_text
from stepwell_wire.hub_access import HubKeyError, login_link, page_path, read_key


def page_address(page_url: str, project: str, run_id: str) -> str | None:
    """Return the address of a run's page, None where no page is known."""
    return page_url.rstrip("/") + page_path(project, run_id) if page_url else None


def sweep_address(page_url: str, project: str, sweep_id: str) -> str:
    """Return the address of a sweep's page."""
    return f"{page_url.rstrip('/')}{page_path(project)}/sweeps/{sweep_id}"


def how_to_look(
    page_url: str, hub_folder: str, *, project: str, run_id: str, is_terminal: bool
) -> str:
    """Return how to look at a run, if the daemon has reported its page or that there is none.

    On a terminal, a user who may read the hub's key gets a link that logs in, once and within 12
    hours. Everywhere else the address has no key: other users can often read job logs.
    """
    from pathlib import Path

    address = page_address(page_url, project, run_id)
    if address is None:  # Of a daemon without a hub, or behind a gateway.
        show = command_text("show", f"{project}/{run_id}")
        return f"see it with {show} on the machine that has the store"
    if not is_terminal:
        return f"see it at {address} (`stepwell open` logs a browser in)"
    if hub_folder:
        try:
            address = login_link(address, read_key(Path(hub_folder)), now=time.time())
        except HubKeyError:
            pass  # The daemon is another user's, or in another container.
    return f"see it at {address}"
