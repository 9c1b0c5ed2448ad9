"""How long, and in how much memory, are the histories of 500 runs read into one Arrow table?

A hub over an embedded engine, each a process of its own; 500 runs of 20 metrics of 1,000 steps,
10 million points. The asking process is a new one each time, so that its highest memory is of this
one call. ``STEPWELL_BENCH_SCALE=0.01`` makes it small.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil

from benchmarks.harness import table

RUNS: Final = 500
METRICS: Final = 20
STEPS: Final = 1000
REPEATS: Final = 3
PROJECT: Final = "bench"
NAMES: Final = tuple(f"group/metric{number:02}" for number in range(METRICS))
_RUNS_A_BLOCK: Final = 20
_START_US: Final = 1_700_000_000_000_000

_ASK: Final = """
import json, resource, sys, time
from stepwell.api import Api
url, key, names = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
runs = Api(hub=url, api_key=key).runs("bench")
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
started, cpu_before = time.perf_counter(), time.process_time()
table = runs.history(names, format="arrow")
seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_before
points = sum(len(table[name]) - table[name].null_count for name in names)
found = {"seconds": seconds, "cpu": cpu, "points": points, "bytes": table.nbytes, "peak": peak()}
print(json.dumps(found))
"""


def main() -> None:
    from stepwell_store import open_embedded

    runs = max(2, round(RUNS * float(os.environ.get("STEPWELL_BENCH_SCALE", "1"))))
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        store = open_embedded(data)
        try:
            store.migrate()
            make_runs(store, runs)
            assert store.engine_pid is not None
            rows = _measured(data, store.engine_pid, runs)
        finally:
            store.close()
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"load of the machine afterwards: {load} on {os.cpu_count()} cores\n")
    columns = [
        "call",
        "points",
        "s",
        "CPU s, all three",
        "table MB",
        "peak MB: asker",
        "hub",
        "engine",
    ]
    print(table(columns, rows))


def _measured(data: Path, engine_pid: int, runs: int) -> list[list[str]]:
    words = [sys.executable, "-m", "stepwell_hub", "--data", str(data), "--port", "0"]
    hub = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    try:
        url, key = _address(data)
        rows = []
        for number in range(1, REPEATS + 1):
            ask = [sys.executable, "-c", _ASK, url, key, json.dumps(NAMES)]
            before = _cpu_seconds(hub.pid) + _cpu_seconds(engine_pid)
            found: dict[str, Any] = json.loads(subprocess.check_output(ask, timeout=600))
            assert found["points"] == runs * METRICS * STEPS, found
            cpu = _cpu_seconds(hub.pid) + _cpu_seconds(engine_pid) - before + found["cpu"]
            peaks = [found["peak"], _peak(hub.pid), _peak(engine_pid)]
            rows.append(
                [
                    str(number),
                    f"{found['points']:,}",
                    f"{found['seconds']:.2f}",
                    f"{cpu:.2f}",
                    f"{found['bytes'] / 1e6:.0f}",
                    *(f"{each / 1e6:.0f}" for each in peaks),
                ]
            )
        return rows
    finally:
        hub.terminate()
        hub.wait(30)


def _address(data: Path) -> tuple[str, str]:
    from stepwell_wire.hub_access import STATE_FILE, hub_dir, read_key

    state = hub_dir(data) / STATE_FILE
    deadline = time.monotonic() + 60
    while not state.exists():
        assert time.monotonic() < deadline, "waited 60 s for the hub"
        time.sleep(0.05)
    return str(json.loads(state.read_bytes())["url"]), read_key(hub_dir(data))


def _cpu_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _peak(pid: int) -> int:
    """Return the highest resident memory of a process so far, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return int(psutil.Process(pid).memory_info().rss)


def make_runs(store: Any, runs: int) -> None:
    """Store runs as a daemon stores them, some in each block."""
    from stepwell_store import BlockBuilder, WriterInfo
    from stepwell_wire.rows import DecodedRecords, Event, Rows

    random = np.random.default_rng(1)
    steps = np.arange(STEPS, dtype=np.int64)
    for first in range(0, runs, _RUNS_A_BLOCK):
        builder = BlockBuilder()
        for number in range(first, min(runs, first + _RUNS_A_BLOCK)):
            who = WriterInfo(PROJECT, f"r{number:05}", f"w{number}", "", "run", "node", 1)
            started = _START_US + number * 1_000_000
            body = {
                "project": PROJECT,
                "run_id": who.run_id,
                "writer_id": who.writer_id,
                "label": "",
                "rank": 0,
                "world_size": 1,
                "name": who.run_id,
                "host": "node",
                "pid": 1,
                "started_at": started,
                "client": "bench",
                "resumed": False,
            }
            values = random.normal(size=(STEPS, METRICS))
            made = Rows(1, steps, started + steps * 1000, values)
            start = Event(0, started, "start", body)
            records = DecodedRecords([made], [start], STEPS, STEPS * METRICS)
            builder.add(who, records, {1: NAMES})
        for block in builder.build():
            store.insert(block, f"bench-{first}:{block.digest()}")


if __name__ == "__main__":
    main()
