"""The page for the command line: links that log in, the hub of a folder, a browser."""

import http.client
import json
import os
import socket
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from stepwell_wire.certificates import certificate_failure
from stepwell_wire.hub_access import (
    CATALOG_FILE,
    STATE_FILE,
    HubKeyError,
    catalog_is_damaged,
    catalog_remedy,
    hub_dir,
    login_link,
    read_key,
)

_NO_PAGE: Final = "no page"
"""The start of a daemon's problem that is the reason why it has no page."""
_ANSWER_SECONDS: Final = 2.0
_READY_SECONDS: Final = 5.0
"""Longer than the hub waits for a catalog that does not answer."""
_READY_BYTES_MAX: Final = 1024
_BROWSER_SECONDS: Final = 5.0
_DISPLAYS: Final = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


def no_page_problem(status: Mapping[str, Any]) -> str:
    """Return why the daemon has no page, as it says in its status; "" if it has one."""
    problems = () if status.get("hub_ready") else status.get("problems", ())
    return next((str(each) for each in problems if str(each).startswith(_NO_PAGE)), "")


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
    return _failure_of(url) is None


def why_unchecked(url: str) -> str:
    """Return why the page's address cannot be checked from here; "" if it answers."""
    error = _failure_of(url)
    if error is None:
        return ""
    if why := certificate_failure(error):
        return (
            f"the certificate of {url} is not accepted on this machine ({why}), "
            "and a browser may warn of it too"
        )
    reason = getattr(error, "reason", None) or error
    return (
        f"{url} cannot be reached from this machine "
        f"({getattr(reason, 'strerror', None) or reason}); open it where browsers reach it"
    )


def _failure_of(url: str) -> Exception | None:
    """Return the error of a request there, None if something answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(f"{url}/", timeout=_ANSWER_SECONDS).close()
    except urllib.error.HTTPError:
        return None  # It requires a login.
    except (OSError, ValueError, http.client.HTTPException) as error:
        return error
    return None


class CatalogProblem(NamedTuple):
    """The catalog of a page that runs does not answer."""

    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}"


def catalog_problem(url: str, folder: Path) -> CatalogProblem | None:
    """Return the problem of the catalog that the hub at ``url`` reports; None without any.

    Args:
        folder: the hub's folder.
    """
    if "catalog" not in _readiness(url, folder):
        return None
    message = (
        f"the catalog of the page {url} does not answer: logins, reports, sweeps and artifacts "
        "fail, runs are shown"
    )
    path = folder / CATALOG_FILE
    if catalog_is_damaged(folder):
        return CatalogProblem(f"{message}. {path} is not a database", catalog_remedy(str(path)))
    return CatalogProblem(
        message,
        "check that the PostgreSQL server of hub_catalog runs and accepts the user, or, without "
        f"hub_catalog, that {path} is intact, may be written and has disk space",
    )


def _readiness(url: str, folder: Path) -> str:
    """Return the hub's answer on its state; "" if it does not answer from here.

    The address for browsers may be a proxy's, so the hub's own port is asked if that fails.
    """
    bases = [url]
    with suppress(OSError, ValueError, KeyError, TypeError):
        host, port = json.loads((folder / STATE_FILE).read_bytes())["listens"]
        here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        shown = f"[{here}]" if ":" in here else here
        bases += [f"{scheme}://{shown}:{port}" for scheme in ("http", "https")]
    unchecked = ssl.create_default_context()  # The question and its answer are public.
    unchecked.check_hostname = False
    unchecked.verify_mode = ssl.CERT_NONE
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unchecked)
    )
    deadline = time.monotonic() + _READY_SECONDS  # For all of them.
    for base in bases:
        left = max(0.1, deadline - time.monotonic())
        try:
            with opener.open(f"{base}/readyz", timeout=left) as answer:
                text = str(answer.read(_READY_BYTES_MAX).decode("utf-8", "replace"))
        except urllib.error.HTTPError as error:
            text = error.read(_READY_BYTES_MAX).decode("utf-8", "replace")
        except (OSError, ValueError, http.client.HTTPException):
            continue
        if text.startswith(("ready", "not ready")):  # Else a proxy answered.
            return text
    return ""


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
