"""What do import, init and finish cost?

Each in a fresh interpreter, several times, in turn with a bare one; medians. `init` with a daemon
running, and with none on the socket (a personal one may not be started here, so what is timed is
the SDK's own part; starting a process is measured apart).
"""

import os
import signal
import statistics
import subprocess
import sys
import time

from benchmarks.harness import daemon_running, status_of, table

ROUNDS = 15


def wall(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - start) * 1000


TIMED = """
import time, stepwell
a = time.perf_counter()
run = stepwell.init(project="bench")
b = time.perf_counter()
time.sleep({pause})
run.log({{"x": 1.0}})
time.sleep({pause})
c = time.perf_counter()
run.finish()
d = time.perf_counter()
print((b - a) * 1000, (d - c) * 1000)
"""


def init_and_finish(pause: float) -> tuple[float, float]:
    command = [sys.executable, "-c", TIMED.format(pause=pause)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    first, second = (float(word) for word in done.stdout.split()[-2:])
    return first, second


def main() -> None:
    bare, imported = [], []
    for _ in range(ROUNDS):
        bare.append(wall("pass"))
        imported.append(wall("import stepwell"))
    over = statistics.median(imported) - statistics.median(bare)
    rows: list[list[object]] = [["import stepwell, over a bare interpreter", over]]
    with daemon_running():
        pairs = [init_and_finish(1.0) for _ in range(ROUNDS)]
    rows.append(["init, daemon running", statistics.median(pair[0] for pair in pairs)])
    rows.append(["finish, idle, daemon running", statistics.median(pair[1] for pair in pairs)])
    with daemon_running() as daemon:
        os.environ["STEPWELL_SOCKET"] = str(daemon.folder / "nobody.sock")
        os.environ["STEPWELL_FINISH_TIMEOUT"] = "1"
        pairs = [init_and_finish(0.0) for _ in range(5)]
        os.environ["STEPWELL_DATA"] = str(daemon.folder / "other")
        os.environ["STEPWELL_SOCKET"] = str(daemon.folder / "other.sock")
        del os.environ["STEPWELL_FINISH_TIMEOUT"]
        del os.environ["STEPWELL_NO_DAEMON"]
        started, _ = init_and_finish(0.0)
        os.kill(status_of(daemon.folder / "other.sock")["pid"], signal.SIGTERM)
    rows.append(["init, no daemon", statistics.median(pair[0] for pair in pairs)])
    rows.append(["finish with a limit of 1 s, no daemon", statistics.median(p[1] for p in pairs)])
    rows.append(["init, no daemon, starts a personal one", started])
    print(table(["what", "median ms"], rows))


if __name__ == "__main__":
    main()
