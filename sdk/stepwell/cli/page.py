"""The page for the command line: links that log in, the hub of a folder, a browser."""

import json
import os
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Final

from stepwell_wire.hub_access import STATE_FILE, HubKeyError, hub_dir, login_link, read_key

_ANSWER_SECONDS: Final = 2.0
_BROWSER_SECONDS: Final = 5.0
_DISPLAYS: Final = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


def link_to(address: str, hub_folder: str) -> str:
    """Return ``address`` with a login code, or unchanged if the user may not read the key."""
    if not hub_folder:
        return address
    try:
        return login_link(address, read_key(Path(hub_folder)), now=time.time())
    except HubKeyError:
        return address


def running_hub(data: Path) -> str | None:
    """Return the base address of the hub that runs on this data folder, None when none does.

    Its process must run and its address must answer: a killed hub leaves its state file. The
    address for browsers may be a proxy's and unreachable from here, so the hub's port is checked.
    """
    try:
        state = json.loads((hub_dir(data) / STATE_FILE).read_bytes())
        url, pid = str(state["url"]), int(state["pid"])
        os.kill(pid, 0)
    except PermissionError:
        pass  # It is another user's process, so it runs.
    except (OSError, ValueError, KeyError, TypeError):
        return None
    listens = state.get("listens")
    return url if answers(url) or (listens and _accepts(*listens)) else None


def _accepts(host: str, port: int) -> bool:
    """Return whether something on this machine accepts connections there."""
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    try:
        socket.create_connection((here, port), timeout=_ANSWER_SECONDS).close()
    except OSError:
        return False
    return True


def answers(url: str) -> bool:
    """Return whether something answers HTTP there."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(f"{url}/", timeout=_ANSWER_SECONDS).close()
    except urllib.error.HTTPError:
        return True  # It requires a login.
    except (OSError, ValueError):
        return False
    return True


def open_browser(link: str, *, wait_seconds: float = _BROWSER_SECONDS) -> bool:
    """Open a graphical browser if there is one; return whether one was started.

    Browsers that run in the terminal would take it over, so they are not used.

    Args:
        wait_seconds: the longest wait; a command that opens a browser may return only when the
            browser ends.
    """
    if sys.platform != "darwin" and not any(os.environ.get(name) for name in _DISPLAYS):
        return False
    import webbrowser

    opened: list[bool] = []

    def ask() -> None:
        with suppress(webbrowser.Error, OSError):
            opened.append(webbrowser.open(link))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(wait_seconds)
    return thread.is_alive() or opened == [True]
