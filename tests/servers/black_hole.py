"""What does a ClickHouse that swallows everything for minutes cost a training process?

    python -m tests.servers.black_hole [--minutes 10] [--around 60]

A process trains (some milliseconds of numpy a step) and logs 10 metrics a step, while a proxy
before the real server passes everything, then swallows everything for so many minutes, then
passes again. Printed are the time of a `log` call and of a step in each of the three spans, what
the spool held at most, and how long the rest took; every point must be stored once in the end.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stepwell.cli.daemon_client import DaemonClient
from tests.faults.oracle import stored_points, wait_until_stored
from tests.node import Node, made_node
from tests.servers.clickhouse import ClickHouseServer, stored_in
from tests.servers.proxy import Proxy

METRICS = 10
_TRAIN = """
import os, sys, time
import numpy as np
import stepwell
run = stepwell.init(project="hole", id="train", settings={"console": False})
weights = np.random.default_rng(0).normal(size=(160, 160))
spans, step = [], 0
while not os.path.exists(sys.argv[1]):
    began = time.perf_counter_ns()
    for _ in range(8):
        weights = np.tanh(weights @ weights.T / 160)
    row = {f"m{number}": float(weights[number, 0]) + step for number in range(10)}
    before = time.perf_counter_ns()
    run.log(row, step=step)
    after = time.perf_counter_ns()
    spans.append((time.time(), after - before, before - began))
    step += 1
    time.sleep(0.005)
run.finish()
np.save(sys.argv[2], np.array(spans))
print(step)
"""


def waiting_in(node: Node) -> tuple[bool, int]:
    """Return whether the store takes blocks, and the bytes that wait for it."""
    with DaemonClient(node.socket) as daemon:
        status = daemon.status()
    return bool(status["sink"]["healthy"]), int(status["spool"]["unforwarded_bytes"])


def span_text(name: str, taken: NDArray[np.float64]) -> str:
    log_us, work_us = taken[:, 1] / 1e3, taken[:, 2] / 1e3
    return (
        f"{name:<8} {len(taken):>8,} steps   log µs p50 {np.percentile(log_us, 50):6.1f} "
        f"p99 {np.percentile(log_us, 99):7.1f} max {log_us.max():9.1f}   "
        f"work of a step µs p50 {np.percentile(work_us, 50):8.1f} mean {work_us.mean():8.1f}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.servers.black_hole")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long nothing passes")
    parser.add_argument("--around", type=float, default=60.0, help="seconds before and after")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        ClickHouseServer(Path(folder) / "server") as server,
        Proxy(("127.0.0.1", server.port)) as proxy,
        made_node() as node,
    ):
        node.variables = stored_in(proxy.address)
        node.start_daemon("--clickhouse-timeout-seconds", "10")
        stop, taken_file = node.folder / "stop", node.folder / "taken.npy"
        trainer = subprocess.Popen(
            [sys.executable, "-c", _TRAIN, str(stop), str(taken_file)],
            env={**node.environment, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        time.sleep(5 + options.around)
        began = time.time()
        proxy.swallows = True
        most = 0
        while time.time() < began + options.minutes * 60:
            time.sleep(1)
            most = max(most, waiting_in(node)[1])
        proxy.swallows = False
        proxy.cut()
        ended = time.time()
        while True:
            is_healthy, waiting = waiting_in(node)
            if is_healthy and waiting < most / 10:
                break
            time.sleep(0.1)
        caught_up = time.time() - ended
        time.sleep(options.around)
        stop.touch()
        steps = int(trainer.communicate(timeout=300)[0].split()[-1])
        wait_until_stored(node, timeout_seconds=300)
        stored = stored_points(node)
        taken = np.load(taken_file)
        print(span_text("before", taken[taken[:, 0] < began][100:]))
        print(span_text("hole", taken[(taken[:, 0] >= began) & (taken[:, 0] < ended)]))
        print(span_text("after", taken[taken[:, 0] >= ended + caught_up]))
        print(f"spool at most {most / 1e3:,.0f} kB; caught up {caught_up:.1f} s after the hole")
        exact = stored.keys() == {("train", f"m{number}") for number in range(METRICS)} and all(
            [step for step, _ in points] == list(range(steps)) for points in stored.values()
        )
        print(json.dumps({"steps": steps, "points": steps * METRICS, "exact": exact}))
        return 0 if exact and trainer.returncode == 0 else 1


if __name__ == "__main__":
    os.environ.setdefault("CI", "1")  # No server is an error here, nothing to skip.
    sys.exit(main())
