"""What does `watch` add to a training step, beside wandb in the same run?

Ten linear layers of 1,000 × 1,000, batches of 16, CPU, one thread, `log="all"`, `log_freq=10`:
20 million values are binned at every tenth step. Three processes take turns of ten steps: without
watch, with stepwell, with wandb 0.31.0 offline. All use torch of `.venv-integrations` (`make
integrations`), or of the Python that STEPWELL_BENCH_TORCH names; wandb is installed beside it into
`.venv-wandb-torch`, which sees its packages. STEPWELL_BENCH_WANDB names a Python that has both.
STEPWELL_BENCH_DEVICE names the device, such as `cuda`.
"""

import os
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bench_images import WANDB
from benchmarks.harness import Caller, Daemon, daemon_running, table

CALLER = Path(__file__).with_name("watch_caller.py")
DEVICE = os.environ.get("STEPWELL_BENCH_DEVICE", "cpu")
WARM_UP, TURNS = 2, 15
_ROOT = Path(__file__).parent.parent
_WITH_WANDB = _ROOT / ".venv-wandb-torch"


def torch_python() -> str:
    """Return a Python that has torch and stepwell."""
    named = os.environ.get("STEPWELL_BENCH_TORCH")
    python = named or str(_ROOT / ".venv-integrations" / "bin" / "python")
    if not Path(python).exists():
        raise SystemExit(f"{python}: not there; `make integrations` makes it")
    return python


def wandb_python() -> str:
    """Return a Python that has wandb, and the packages of ``torch_python``."""
    if named := os.environ.get("STEPWELL_BENCH_WANDB"):
        return named
    python = _WITH_WANDB / "bin" / "python"
    if not python.exists():
        subprocess.run([torch_python(), "-m", "venv", str(_WITH_WANDB)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", WANDB], check=True)
        words = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
        theirs, ours = (
            subprocess.run(
                [each, "-c", words], check=True, capture_output=True, text=True
            ).stdout.strip()
            for each in (torch_python(), str(python))
        )
        Path(ours, "torch_of_integrations.pth").write_text(f"{theirs}\n")
    return str(python)


@contextmanager
def callers(daemon: Daemon) -> Iterator[list[Caller]]:
    """Start the three: without watch, with ours, with wandb's."""
    with tempfile.TemporaryDirectory(prefix="sw-bench-") as folder:
        ours = {"STEPWELL_SOCKET": str(daemon.socket), "STEPWELL_NO_DAEMON": "1"}
        ours |= {"STEPWELL_DIR": f"{folder}/journals", "STEPWELL_DATA": f"{folder}/data"}
        theirs = {"WANDB_MODE": "offline", "WANDB_DIR": folder, "WANDB_SILENT": "true"}
        theirs |= {"WANDB_CONSOLE": "off", "HOME": folder}
        made = [
            Caller([torch_python(), str(CALLER), "none", DEVICE], {}),
            Caller([torch_python(), str(CALLER), "stepwell", DEVICE], ours),
            Caller([wandb_python(), str(CALLER), "wandb", DEVICE], theirs),
        ]
        try:
            yield made
        finally:
            for each in made:
                each.close()


def main() -> None:
    with daemon_running() as daemon, callers(daemon) as made:
        times: list[list[float]] = [[] for _ in made]
        for turn in range(WARM_UP + TURNS):
            for caller, held in zip(made, times, strict=True):
                seconds = caller.call()
                if turn >= WARM_UP:
                    held.append(seconds)
    bare, ours, theirs = (1000 * statistics.median(held) for held in times)
    added, their_added = ours - bare, theirs - bare
    rows = [
        ["without watch", f"{bare:.2f}", "", ""],
        ["stepwell", f"{ours:.2f}", f"{added:.2f}", f"1/{their_added / added:.1f}"],
        ["wandb 0.31.0, offline", f"{theirs:.2f}", f"{their_added:.2f}", ""],
    ]
    print(table(["training with", "step ms", "watch adds ms", "of wandb's"], rows))
    print(f"\nMedian of {TURNS} turns of ten steps on {DEVICE}; load {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    main()
