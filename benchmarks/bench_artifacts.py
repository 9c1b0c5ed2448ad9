"""What does an artifact cost: 10,000 small files, and large files beside `cp` and a hash pass?

stepwell with a daemon and its hub, and wandb 0.31.0 offline, in turn in one run. wandb hashes and
copies in `add_dir`, stepwell holds there and its daemon does the rest; so the CPU of all processes
is counted, until the version is committed, or wandb's call has returned. STEPWELL_BENCH_BYTES sets
the size of the large files together (5 GB by default), in 20 files.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from blake3 import blake3

from benchmarks.bench_images import WANDB, wandb_python
from benchmarks.harness import Caller, Daemon, daemon_running, table

CALLER = Path(__file__).with_name("artifacts_caller.py")
SMALL_FILES, SMALL_BYTES = 10_000, 200
LARGE_FILES, ROUNDS = 20, 3
LARGE_BYTES_DEFAULT = 5_000_000_000
_CHUNK_BYTES = 4 << 20
_AGE_SECONDS = 60.0


class Artist(Caller):
    """A caller that answers in JSON."""

    def log(self, folder: Path) -> dict[str, float]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{folder}\n")
        self._process.stdin.flush()
        found: dict[str, float] = json.loads(self._line())
        return found

    def cpu_seconds(self) -> float:
        process = psutil.Process(self._process.pid)
        tree = [process, *process.children(recursive=True)]
        return sum(sum(each.cpu_times()[:2]) for each in tree)


@contextmanager
def callers(daemon: Daemon, folder: str) -> Iterator[tuple[Artist, Artist]]:
    """Start both; the second is wandb."""
    theirs = {"WANDB_MODE": "offline", "WANDB_DIR": folder, "WANDB_SILENT": "true"}
    theirs |= {"WANDB_CONSOLE": "off", "HOME": folder, "WANDB_DATA_DIR": folder}
    theirs |= {"WANDB_CACHE_DIR": f"{folder}/cache"}
    made = (
        Artist([sys.executable, str(CALLER), "stepwell"], {}),
        Artist([wandb_python(), str(CALLER), "wandb"], theirs),
    )
    try:
        yield made
    finally:
        for each in made:
            each.close()


def make_files(folder: Path, count: int, size: int) -> None:
    """Write files unlike each other, as old as files that were not written just now."""
    folder.mkdir()
    then = time.time() - _AGE_SECONDS
    for number in range(count):
        path = folder / f"{number:05d}.bin"
        with path.open("wb") as file:
            left = size
            while left:
                left -= file.write(os.urandom(min(left, _CHUNK_BYTES)))
        os.utime(path, (then, then))


def seconds_of(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def hash_all(folder: Path) -> None:
    """Read and hash every file, on one processor."""
    for path in sorted(folder.iterdir()):
        hasher = blake3()
        with path.open("rb") as file:
            while data := file.read(_CHUNK_BYTES):
                hasher.update(data)


def copy_all(folder: Path, target: Path) -> None:
    subprocess.run(["cp", "-r", str(folder), str(target)], check=True)


def measured(
    name: str, artist: Artist, cpu_of_others: Callable[[], float], folder: Path
) -> list[object]:
    before = artist.cpu_seconds() + cpu_of_others()
    said = artist.log(folder)
    cpu = artist.cpu_seconds() + cpu_of_others() - before
    return [name, said["add"], said["log"] * 1e3, said["commit"], cpu]


def main() -> None:
    size = int(os.environ.get("STEPWELL_BENCH_BYTES", LARGE_BYTES_DEFAULT))
    heads = ["", "add_dir s", "log_artifact ms", "until committed or returned s", "CPU s"]
    with (
        daemon_running("--hub", "auto", "--hub-port", "0") as daemon,
        tempfile.TemporaryDirectory(prefix="sw-files-") as scratch,
        callers(daemon, scratch) as (ours, theirs),
    ):
        place = Path(scratch)
        small = place / "small"
        make_files(place / "first", 10, 10)
        for each in (ours, theirs):
            each.log(place / "first")  # Imports, connections, the worker's start.
        make_files(small, SMALL_FILES, SMALL_BYTES)
        rows = [
            measured("stepwell", ours, daemon.cpu_seconds, small),
            measured("stepwell, once more", ours, daemon.cpu_seconds, small),
            measured(f"{WANDB}, offline", theirs, lambda: 0.0, small),
        ]
        print(
            f"{SMALL_FILES} files of {SMALL_BYTES} bytes; "
            f"{float(str(rows[0][1])) / SMALL_FILES * 1e6:.0f} µs a file in add_dir\n"
        )
        print(table(heads, rows))
        rounds = [large_files(place / "large", size, ours, theirs, daemon) for _ in range(ROUNDS)]
    print(f"\n{size / 1e9:.3g} GB in {LARGE_FILES} files, {ROUNDS} rounds with new files each\n")
    print(
        table(
            ["seconds", *(f"round {number}" for number in range(1, ROUNDS + 1))],
            [[name, *(found[name] for found in rounds)] for name in rounds[0]],
        )
    )


def large_files(
    folder: Path, size: int, ours: Artist, theirs: Artist, daemon: Daemon
) -> dict[str, float]:
    """Return the seconds of one round; what is compared is done one after the other."""
    make_files(folder, LARGE_FILES, size // LARGE_FILES)
    os.sync()
    copy = folder.with_name("copy")
    hashed = seconds_of(lambda: hash_all(folder))
    copied = seconds_of(lambda: copy_all(folder, copy))
    synced = copied + seconds_of(os.sync)
    shutil.rmtree(copy)
    before = daemon.cpu_seconds() + ours.cpu_seconds()
    first = ours.log(folder)["commit"]
    cpu = daemon.cpu_seconds() + ours.cpu_seconds() - before
    again = ours.log(folder)["commit"]
    wandbs = theirs.log(folder)["commit"]
    shutil.rmtree(folder)
    return {
        "one hash pass": hashed,
        "cp": copied,
        "cp and sync": synced,
        "stepwell, until committed (synced)": first,
        "… its CPU": cpu,
        "… over cp and a hash pass": first / (copied + hashed),
        "… over cp, sync and a hash pass": first / (synced + hashed),
        "stepwell, once more": again,
        f"{WANDB}, offline, until it returned": wandbs,
    }


if __name__ == "__main__":
    main()
