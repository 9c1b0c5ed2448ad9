"""What does logging eight pictures of 512 × 512 × 3 cost the training process?

stepwell and wandb 0.31.0 offline, in turn in one run: each call is made while the other is idle and
the daemon has encoded what came before. A second row has stepwell's calls back to back, while the
daemon's worker encodes on the same processors. wandb is installed from PyPI into `.venv-wandb`,
or taken from the Python that STEPWELL_BENCH_WANDB names.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import Caller, Daemon, daemon_running, table

WANDB = "wandb==0.31.0"
CALLER = Path(__file__).with_name("images_caller.py")
WARM_UP, CALLS, IN_A_ROW = 3, 21, 20
_ENVIRONMENT = Path(__file__).parent.parent / ".venv-wandb"


def wandb_python() -> str:
    """Return a Python that has wandb, numpy and Pillow; make one where there is none."""
    if named := os.environ.get("STEPWELL_BENCH_WANDB"):
        return named
    python = _ENVIRONMENT / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(_ENVIRONMENT)], check=True)
        words = [str(python), "-m", "pip", "install", "--quiet", WANDB, "numpy", "pillow"]
        subprocess.run(words, check=True)
    return str(python)


@contextmanager
def callers(daemon: Daemon) -> Iterator[tuple[Caller, Caller]]:
    """Start both; the second is wandb."""
    ours = {"STEPWELL_SOCKET": str(daemon.socket), "STEPWELL_NO_DAEMON": "1"}
    with tempfile.TemporaryDirectory(prefix="sw-bench-") as folder:
        ours |= {"STEPWELL_DIR": f"{folder}/journals", "STEPWELL_DATA": f"{folder}/data"}
        theirs = {"WANDB_MODE": "offline", "WANDB_DIR": folder, "WANDB_SILENT": "true"}
        theirs |= {"WANDB_CONSOLE": "off", "HOME": folder}
        made = (
            Caller([sys.executable, str(CALLER), "stepwell"], ours),
            Caller([wandb_python(), str(CALLER), "wandb"], theirs),
        )
        try:
            yield made
        finally:
            for each in made:
                each.close()


def rest(daemon: Daemon) -> None:
    """Return when the daemon has encoded everything."""
    while daemon.status()["blobs"]["waiting"]:
        time.sleep(0.05)


def main() -> None:
    with daemon_running() as daemon, callers(daemon) as (ours, theirs):
        alone: dict[str, list[float]] = {"ours": [], "theirs": []}
        for number in range(WARM_UP + CALLS):
            seconds = ours.call("and flush"), theirs.call()
            rest(daemon)
            if number >= WARM_UP:
                alone["ours"].append(seconds[0])
                alone["theirs"].append(seconds[1])
        busy = [ours.call() for _ in range(IN_A_ROW)]
        rest(daemon)
        status = daemon.status()["blobs"]
    theirs_ms = statistics.median(alone["theirs"]) * 1e3
    rows = []
    for name, found in (
        (f"{WANDB}, offline", alone["theirs"]),
        ("stepwell", alone["ours"]),
        ("stepwell, back to back", busy),
    ):
        median = statistics.median(found) * 1e3
        ratio = f"1/{theirs_ms / median:.0f}"
        rows.append([name, f"{median:.2f}", f"{max(found) * 1e3:.2f}", ratio])
    print(table(["eight pictures", "median ms", "slowest ms", "of wandb's"], rows))
    print(f"\nencoded and stored: {status['stored']}, failed: {status['failed']}")


if __name__ == "__main__":
    main()
