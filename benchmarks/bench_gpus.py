"""What does sampling GPUs cost the daemon?

The sampler's own process time for a pass over played GPUs (``tests/daemon/nvml.c``), whose calls
return at once: a real driver adds its own time, in threads that wait. And what the first use loads.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import table
from tests.daemon.nvml import COMPILER, played_nvml

PASSES = 200

TIMED = f"""
import json, os, time
from pathlib import Path
from stepwell_daemon.samplers.gpus.sampler import GpuSampler
from stepwell_daemon.samplers.protocol import SamplerContext
from stepwell_daemon.samplers.readings import check_answer

def used():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

sampler = GpuSampler(SamplerContext(Path("/"), time.monotonic, list))
before, began = used(), time.process_time()
sampler.sample()
first = time.process_time() - began
began, clock = time.process_time(), time.perf_counter()
for _ in range({PASSES}):
    checked = check_answer(sampler.sample())
each = (time.process_time() - began) / {PASSES}
wall = (time.perf_counter() - clock) / {PASSES}
values = sum(len(reading.values) for reading in checked.readings)
print(json.dumps([first, each, wall, values, used() - before]))
"""


def main() -> None:
    if COMPILER is None:
        print("no C compiler here: nothing was measured")
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        played = played_nvml(Path(folder), Path(folder))
        for count in (0, 1, 8):
            played.play(count)
            done = subprocess.run(
                [sys.executable, "-c", TIMED],
                env={**os.environ, **played.variables},
                check=True,
                capture_output=True,
                text=True,
            )
            first, each, wall, values, held = json.loads(done.stdout)
            rows.append(
                (
                    str(count),
                    str(values),
                    f"{first * 1e3:.0f} ms",
                    f"{each * 1e3:.2f} ms",
                    f"{wall * 1e3:.2f} ms",
                    f"{each / 5.0 * 100:.3f} %",
                    f"{held / 2**20:.1f} MiB",
                )
            )
    print(
        table(
            ("GPUs", "values", "first pass", "CPU a pass", "wall", "of a core at 5 s", "memory"),
            rows,
        )
    )
