"""A daemon with a hub, and what the hub answers."""

import json
import urllib.error
import urllib.request
from typing import Any

from stepwell_wire.hub_access import hub_dir, read_key
from tests.daemon.client import status_of
from tests.daemon.conftest import Process
from tests.waiting import wait_until

ON = ("--hub", "auto", "--hub-port", "0")


def state_of(process: Process) -> dict[str, Any]:
    path = hub_dir(process.data) / "hub.json"
    wait_until(path.exists, "the hub's state")
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def ask(process: Process, path: str) -> tuple[int, bytes]:
    """Return status and body of the hub's answer to a client with the key."""
    url = status_of(process.socket)["page_url"] + path
    key = read_key(hub_dir(process.data))
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
