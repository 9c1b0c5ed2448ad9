"""The hub's address and key: from argument, environment, daemon or data folder."""

import json
import os
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from stepwell._hub import is_hub_here, key_of_others, named_key
from stepwell._hub_client import HUB, KEY
from stepwell._spawn import daemon_answers
from stepwell.errors import HubAccessError, HubError, HubUnreachableError
from stepwell_wire.hub_access import STATE_FILE, HubKeyError, hub_dir, is_key, read_key
from stepwell_wire.page_file import noted_hub
from stepwell_wire.places import default_data_dir, default_socket


class Place(NamedTuple):
    """A hub: its base address without a slash at the end, and its key."""

    url: str
    key: str


def find_place(
    hub: str | None = None, key: str | None = None, environ: Mapping[str, str] = os.environ
) -> Place:
    """Return the hub to use.

    The address: ``hub``, STEPWELL_HUB, the page of the daemon on this node's socket, the hub that
    runs on the data folder. The key: ``key``, STEPWELL_HUB_KEY, the file that
    STEPWELL_HUB_KEY_FILE names, the file beside the hub.

    Raises:
        HubUnreachableError: No hub is known here.
        HubAccessError: Its key is not known.
    """
    folder = hub_dir(default_data_dir(environ))
    if url := hub or environ.get(HUB, ""):
        url = check_address(url)
    elif found := _of_daemon(default_socket(environ)):
        url, folder = found
    else:
        url = _of_folder(folder)
    if not url:
        raise HubUnreachableError(
            f"no hub found: no daemon with a page answers on {default_socket(environ)}, and "
            f"none uses {folder.parent}; start one with `stepwell up`, or set "
            f"{HUB}=http://HOST:PORT and {KEY} to its key"
        )
    named = key or _named_key(environ)
    if not named and (hub or environ.get(HUB, "")) and not is_hub_here(url, folder):
        raise HubAccessError(f"no key for {url}: set {KEY} to the content of the hub's file `key`")
    return Place(url.rstrip("/"), _key(named, folder, url))


def check_address(url: str) -> str:
    """Return ``url`` without query and fragment.

    Raises:
        HubError: It is not the address of a hub.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise HubError(
            f"{url!r} is not an address of a hub; expected http://HOST:PORT or https://HOST, "
            f"as `stepwell status` prints it, in {HUB} or the argument hub"
        )
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))


def _named_key(environ: Mapping[str, str]) -> str:
    try:
        return named_key(environ)
    except HubKeyError as error:
        raise HubAccessError(str(error)) from error


def _key(named: str, folder: Path, url: str) -> str:
    if named:
        if not is_key(named):
            raise HubAccessError(
                f"the key for {url} is invalid: expected 43 letters, digits, - and _, as in "
                "the file `key` in the hub's folder; correct the argument api_key"
            )
        return named
    try:
        return read_key(folder)
    except HubKeyError as error:
        raise HubAccessError(
            key_of_others(url, folder, error)
            or f"no key for {url}: {error}; set {KEY} to the content of the hub's file `key`"
        ) from error


def _of_folder(folder: Path) -> str:
    """Return the address of the hub that runs on this folder, "" for none."""
    try:
        state = json.loads((folder / STATE_FILE).read_bytes())
        url, pid = str(state["url"]), int(state["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    try:
        os.kill(pid, 0)
    except PermissionError:
        pass  # It is another user's process, so it runs.
    except OSError:
        return ""
    return url


def _of_daemon(socket: Path) -> tuple[str, Path] | None:
    """Return the page of the daemon on ``socket`` and the folder of its key, None without one."""
    if not daemon_answers(str(socket)):
        return None  # The note beside the socket may be of a killed daemon.
    url, folder = noted_hub(socket)
    return (url, Path(folder)) if url and folder else None
