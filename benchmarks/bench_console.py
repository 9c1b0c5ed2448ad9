"""What does a printed line cost the training process while its console is recorded?

A script prints lines of some 60 characters to /dev/null: many back to back, then ten a second. It
runs without a tracker, with stepwell and its console on and off, and with wandb 0.31.0 offline, in
turn. Where wandb comes from: see `bench_images.py`.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.bench_images import WANDB, wandb_python
from benchmarks.harness import daemon_running, percentile, table

CALLER = Path(__file__).with_name("console_caller.py")
TURNS = 3


def main() -> None:
    python = wandb_python()
    found: dict[str, list[tuple[float, float, float]]] = {}
    with daemon_running() as daemon, tempfile.TemporaryDirectory(prefix="sw-bench-") as folder:
        ours = {"STEPWELL_SOCKET": str(daemon.socket), "STEPWELL_NO_DAEMON": "1"}
        ours |= {"STEPWELL_DIR": f"{folder}/journals", "STEPWELL_DATA": f"{folder}/data"}
        theirs = {"WANDB_MODE": "offline", "WANDB_DIR": folder, "WANDB_SILENT": "true"}
        theirs |= {"HOME": folder}
        kinds = (
            ("no tracker", sys.executable, "plain", {}),
            ("stepwell, console off", sys.executable, "stepwell", ours | {"STEPWELL_CONSOLE": "0"}),
            ("stepwell", sys.executable, "stepwell", ours),
            (f"{WANDB}, offline", python, "wandb", theirs),
        )
        file = Path(folder, "figures.json")
        for _ in range(TURNS):
            for name, interpreter, module, environment in kinds:
                subprocess.run(
                    [interpreter, str(CALLER), module, str(file)],
                    env={**os.environ, **environment},
                    stdout=subprocess.DEVNULL,
                    check=True,
                )
                figures = json.loads(file.read_text())
                burst, rare = figures["burst"], figures["rare"]
                found.setdefault(name, []).append(
                    (percentile(burst, 0.5), sum(burst) / len(burst), percentile(rare, 0.5))
                )
    rows = [
        [name, *(f"{statistics.median(column) * 1e6:.1f}" for column in zip(*each, strict=True))]
        for name, each in found.items()
    ]
    headings = ["console", "burst, p50 µs", "burst, mean µs", "ten a second, p50 µs"]
    print(table(headings, rows))


if __name__ == "__main__":
    main()
