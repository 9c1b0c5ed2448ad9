"""What does a page wait for? Requests of the hub over a project of 1,000 runs.

Each is asked over one kept connection, as a browser does: the median of seven after a warm-up. The
body is read, but not decoded. The hub's start is measured to its first answer.
"""

import http.client
import json
import os
import signal
import time
from typing import Any, Final
from urllib.parse import urlsplit

import psutil

from benchmarks.harness import Daemon, daemon_running, percentile, status_of, table
from benchmarks.seed import METRICS, seed
from stepwell_store import connect_embedded
from stepwell_wire.hub_access import hub_dir, read_key

RUNS: Final = 1000
STEPS: Final = 1000
ASKED: Final = 7
_PROJECT: Final = "seeded"


class Asker:
    """A kept connection with the key."""

    def __init__(self, daemon: Daemon) -> None:
        address = urlsplit(status_of(daemon.socket)["page_url"]).netloc
        self._connection = http.client.HTTPConnection(address, timeout=120)
        self._headers = {"Authorization": f"Bearer {read_key(hub_dir(daemon.data))}"}

    def ask(self, method: str, path: str, body: Any = None) -> bytes:
        """Return the answer's body; anything but success is an error."""
        headers, data = dict(self._headers), None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        self._connection.request(method, f"/api/v1{path}", data, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return text


def requests(run_ids: list[str]) -> dict[str, tuple[str, str, Any]]:
    """Return what is asked, by name."""
    project = f"/projects/{_PROJECT}"
    page = {"limit": 100, "columns": ["config.lr", "summary.val/loss"]}
    series = {"items": [{"metric": name} for name in METRICS], "buckets": 512}
    groups = {f"group {i}": run_ids[i::8] for i in range(8)}
    return {
        "status": ("GET", "/status", None),
        "projects": ("GET", "/projects", None),
        "100 runs with 2 columns": ("POST", f"{project}/runs/query", page),
        "100 of them filtered and sorted": (
            "POST",
            f"{project}/runs/query",
            page | {"filter": "lr<1e-3 state:finished", "sort": ["summary.val/loss"]},
        ),
        "one run": ("GET", f"{project}/runs/{run_ids[0]}", None),
        "8 metrics of 100 runs": ("POST", f"{project}/series", series | {"runs": run_ids[:100]}),
        "8 metrics of 8 groups of 1,000": ("POST", f"{project}/bands", series | {"groups": groups}),
    }


def main() -> None:
    with daemon_running("--hub", "auto", "--hub-port", "0") as daemon:
        store = connect_embedded(daemon.data)
        seed(store, _PROJECT, runs=RUNS, steps=STEPS)
        store.close()
        asker = Asker(daemon)
        body = {"limit": RUNS, "columns": []}
        found = json.loads(asker.ask("POST", f"/projects/{_PROJECT}/runs/query", body))
        run_ids = [run["run_id"] for run in found["runs"]]
        rows = []
        for name, (method, path, asked) in requests(run_ids).items():
            asker.ask(method, path, asked)
            durations = []
            for _ in range(ASKED):
                start = time.perf_counter()
                size = len(asker.ask(method, path, asked))
                durations.append((time.perf_counter() - start) * 1000)
            durations.sort()
            middle = percentile(durations, 0.5)
            rows.append((name, f"{size / 1000:,.0f}", f"{middle:.1f}"))
        print(table(("request", "kB", "median ms"), rows))
        used = hub_memory(daemon)
        started = restart_seconds(daemon)
        fresh = hub_memory(daemon)
        print(f"\nhub: first answer {started:.2f} s after its end, the daemon's back-off of up to")
        print(f"0.2 s included; resident {fresh:.0f} MiB then, {used:.0f} MiB after the requests")


def hub_pid(daemon: Daemon) -> int:
    return int(json.loads((hub_dir(daemon.data) / "hub.json").read_bytes())["pid"])


def hub_memory(daemon: Daemon) -> float:
    """Return the hub's resident MiB."""
    return float(psutil.Process(hub_pid(daemon)).memory_info().rss) / (1 << 20)


def restart_seconds(daemon: Daemon) -> float:
    """Kill the hub and return the seconds until the next one answers."""
    os.kill(hub_pid(daemon), signal.SIGKILL)
    start = time.perf_counter()
    Asker(daemon).ask("GET", "/views?project=x")
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
