"""The pages of a run and of a sweep: their addresses, and the line that says where a run is."""

import time

from stepwell_wire.hub_access import HubKeyError, login_link, page_path, read_key


def page_address(page_url: str, project: str, run_id: str) -> str | None:
    """Return the address of a run's page, None where no page is known."""
    return page_url.rstrip("/") + page_path(project, run_id) if page_url else None


def sweep_address(page_url: str, project: str, sweep_id: str) -> str:
    """Return the address of a sweep's page."""
    return f"{page_url.rstrip('/')}{page_path(project)}/sweeps/{sweep_id}"


def page_line(address: str, hub_folder: str, *, is_terminal: bool) -> str:
    """Return the line that says where the run is seen.

    On a terminal, who may read the hub's key gets a link that logs in, once and within 12 hours.
    Everywhere else the address is a clean one: files of job logs are often readable by others.
    """
    from pathlib import Path

    if not is_terminal:
        return f"see the run at {address} (`stepwell open` logs a browser in)"
    if hub_folder:
        try:
            address = login_link(address, read_key(Path(hub_folder)), now=time.time())
        except HubKeyError:
            pass  # The daemon is another user's, or in another container.
    return f"see the run at {address}"
