"""What does a point cost in CPU, of all processes, until it can be queried?

The workloads that competing trackers were measured on: W1 1 metric × 100,000 steps, W2 10 × 20,000,
W3 1,000 × 200, as quickly as the loop goes; W5 is W2 with ten times the steps, where fixed costs
weigh less. CPU is user + system of trainer, daemon and engine from after `init` until everything
is in the store with its statistics and rollups; the trainer's own loop is part of it.
"""

import subprocess
import sys
import time

from benchmarks.harness import daemon_running, table

WORKLOADS = {"W1": (1, 100_000), "W2": (10, 20_000), "W3": (1000, 200), "W5": (10, 200_000)}

TRAINER = """
import sys, time, stepwell
width, steps = int(sys.argv[1]), int(sys.argv[2])
run = stepwell.init(project="bench")
keys = [f"m{i}" for i in range(width)]
time.sleep(1.0)
start = time.process_time()
for step in range(steps):
    run.log({key: step * 0.5 + i for i, key in enumerate(keys)})
loop = time.process_time() - start
run.finish()
print(loop, time.process_time() - start, run.dropped_points)
"""

LOOP = """
import sys, time
width, steps = int(sys.argv[1]), int(sys.argv[2])
keys = [f"m{i}" for i in range(width)]
log = [].append
start = time.process_time()
for step in range(steps):
    {key: step * 0.5 + i for i, key in enumerate(keys)}
print(time.process_time() - start)
"""


def _python(code: str, *arguments: object) -> list[float]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [float(word) for word in done.stdout.split()]


def main() -> None:
    rows = []
    with daemon_running() as daemon:
        for name, (width, steps) in WORKLOADS.items():
            points = width * steps
            (bare,) = _python(LOOP, width, steps)
            daemon.flush()
            time.sleep(1.0)
            before = daemon.cpu_seconds()
            _, trainer, dropped = _python(TRAINER, width, steps)
            daemon.flush()
            helpers = daemon.cpu_seconds() - before
            rows.append(
                [
                    name,
                    points,
                    (trainer - bare) / points * 1e6,
                    helpers / points * 1e6,
                    (trainer + helpers - bare) / points * 1e6,
                    (trainer + helpers) / points * 1e6,
                    dropped,
                ]
            )
    headings = ["workload", "points", "trainer µs/pt", "daemon + engine µs/pt"]
    headings += ["all µs/pt", "all with the loop µs/pt", "dropped"]
    print(table(headings, rows))


if __name__ == "__main__":
    main()
