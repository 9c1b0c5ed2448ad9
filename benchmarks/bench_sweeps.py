"""How long does an agent wait for a trial?

64 processes ask one hub for 1,000 trials of a grid and of a random sweep, each again as soon as it
has its answer: the hardest they can. Beside it is the hub's CPU time an ask: other work on the
machine changes it little. Then the search by model among 1,000 finished trials: one ask at a time,
and 64 at once.
"""

import http.client
import json
import multiprocessing
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import psutil

from benchmarks.bench_hub import hub_pid
from benchmarks.harness import daemon_running, percentile, status_of, table
from stepwell_hub.catalog.catalog import open_catalog
from stepwell_hub.catalog.models import Sweep, Trial
from stepwell_hub.sweeps.config import parse_config
from stepwell_hub.sweeps.search import random_trial
from stepwell_wire.hub_access import hub_dir, read_key

PROCESSES: Final = 64
ASKS: Final = 1000
SEEN: Final = 1000
ONE_BY_ONE: Final = 15
_PARAMETERS: Final = {
    "lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-1},
    "batch": {"values": [16, 32, 64, 128]},
    "optimizer": {
        "parameters": {
            "name": {"values": ["adam", "sgd"]},
            "momentum": {"min": 0.0, "max": 1.0},
        }
    },
    "layers": {"min": 1, "max": 12},
    "dropout": {"min": 0.0, "max": 0.9},
}
_GRID: Final = {"a": {"min": 1, "max": 50}, "b": {"min": 1, "max": 50}}


class Agent:
    """An agent over one kept connection."""

    def __init__(self, address: str, key: str, sweep: str) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=120)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._path = f"/api/v1/sweeps/{sweep}"
        body = {"key": secrets.token_hex(8), "host": "bench", "pid": 1, "kind": "function"}
        self._id = self.post("/agents", body)["agent"]

    def post(self, path: str, body: Any) -> Any:
        self._connection.request("POST", self._path + path, json.dumps(body), self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{path}: {answer.status} {text[:300]!r}")
        return json.loads(text)

    def ask(self) -> tuple[float, int]:
        """Return the milliseconds that it took, and the number of the trial."""
        start = time.perf_counter()
        told = self.post("/ask", {"agent": self._id, "key": secrets.token_hex(8)})
        return (time.perf_counter() - start) * 1000, told["trial"]["number"]


def _ask_often(where: tuple[str, str, str], count: int, begin: Any, results: Any) -> None:
    agent = Agent(*where)
    begin.wait()
    results.put([agent.ask() for _ in range(count)])


def ask_from_processes(
    where: tuple[str, str, str], cpu_seconds: Callable[[], float]
) -> tuple[list[float], float]:
    """Return the latencies of ``ASKS`` asks of ``PROCESSES`` processes, in ms, sorted.

    And the milliseconds of ``cpu_seconds`` that one took, from when all agents are registered.
    """
    context = multiprocessing.get_context("fork")
    begin, results = context.Barrier(PROCESSES + 1), context.SimpleQueue()
    counts = [ASKS // PROCESSES + (place < ASKS % PROCESSES) for place in range(PROCESSES)]
    processes = [
        context.Process(target=_ask_often, args=(where, count, begin, results)) for count in counts
    ]
    for each in processes:
        each.start()
    begin.wait()
    used = cpu_seconds()
    found = [each for _ in processes for each in results.get()]
    used = cpu_seconds() - used
    for each in processes:
        each.join()
    numbers = {number for _, number in found}
    if len(numbers) != ASKS:
        raise RuntimeError(f"{ASKS} asks got {len(numbers)} different trials")
    return sorted(latency for latency, _ in found), used * 1000 / ASKS


def main() -> None:
    with daemon_running("--hub", "auto", "--hub-port", "0") as daemon:
        address = urlsplit(status_of(daemon.socket)["page_url"]).netloc
        key = read_key(hub_dir(daemon.data))
        hub = psutil.Process(hub_pid(daemon))

        def cpu_seconds() -> float:
            return float(sum(hub.cpu_times()[:2]))

        def make(config: dict[str, Any]) -> tuple[str, str, str]:
            connection = http.client.HTTPConnection(address, timeout=120)
            body = json.dumps({"project": "bench", "config": config, "key": secrets.token_hex(8)})
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            connection.request("POST", "/api/v1/sweeps", body, headers)
            return address, key, json.loads(connection.getresponse().read())["id"]

        rows = []
        for method, parameters in (("grid", _GRID), ("random", _PARAMETERS)):
            where = make({"method": method, "parameters": parameters})
            found, cpu = ask_from_processes(where, cpu_seconds)
            rows.append((f"{method}: {PROCESSES} processes, {ASKS} asks", *_figures(found, cpu)))
        config = {"method": "bayes", "parameters": _PARAMETERS, "metric": {"name": "loss"}}
        where = make(config)
        fill(daemon.data, where[2], config)
        agent = Agent(*where)
        first, _ = agent.ask()
        found = sorted(agent.ask()[0] for _ in range(ONE_BY_ONE))
        rows.append((f"bayes, {SEEN} trials: one at a time", *_figures(found)))
        rows.append(("bayes: the first ask of a hub", *_figures([first])))
        agents = [Agent(*where) for _ in range(PROCESSES)]
        at_once: list[float] = []
        threads = [
            threading.Thread(target=lambda each=each: at_once.append(each.ask()[0]))
            for each in agents
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rows.append((f"bayes: {PROCESSES} at once", *_figures(sorted(at_once))))
        print(table(("asks", "median ms", "p99 ms", "max ms", "hub CPU ms"), rows))


def fill(data: Any, sweep_id: str, given: dict[str, Any]) -> None:
    """Give a sweep trials that have ended, as agents and the watch would have made them."""
    config = parse_config(given)
    catalog = open_catalog(hub_dir(data))
    now = time.time()
    with catalog.changing() as session:
        sweep = session.get(Sweep, sweep_id)
        assert sweep is not None
        sweep.next_number = SEEN + 1
        for number in range(1, SEEN + 1):
            params = random_trial(config, 1, number)
            value = abs(params["lr"] - 0.003) + params["dropout"]
            session.add(
                Trial(
                    sweep_id=sweep_id,
                    number=number,
                    params=json.dumps(params),
                    state="finished",
                    fencing=1,
                    run_id=f"run{number}",
                    agent_id="bench",
                    lease_until=now,
                    stop_reason="",
                    best=value,
                    last=value,
                    steps=1,
                    bands="{}",
                    is_settled=True,
                    created_at=now,
                    ended_at=now,
                )
            )
    catalog.close()


def _figures(found: list[float], cpu: float | None = None) -> tuple[str, ...]:
    latencies = (percentile(found, 0.5), percentile(found, 0.99), found[-1])
    return *(f"{each:.0f}" for each in latencies), "" if cpu is None else f"{cpu:.2f}"


if __name__ == "__main__":
    main()
