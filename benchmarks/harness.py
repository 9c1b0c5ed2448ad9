"""What the benchmarks share: a daemon of their own, CPU of process trees, percentiles, ratios.

Nothing here judges. Figures from a shared machine are noisy, so what is compared is run in turn
in one process or one call, and ratios are reported beside the absolute numbers.
"""

import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

VARIABLES = ("STEPWELL_SOCKET", "STEPWELL_DATA", "STEPWELL_DIR", "STEPWELL_NO_DAEMON")


@dataclass
class Daemon:
    """A daemon with its embedded engine, in a folder that goes away with it."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def socket(self) -> Path:
        return self.folder / "s.sock"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def tree(self) -> list[psutil.Process]:
        """Return the daemon first, then its children (the engine)."""
        daemon = psutil.Process(self.process.pid)
        return [daemon, *daemon.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """Return user and system time of daemon and engine so far."""
        return sum(sum(each.cpu_times()[:2]) for each in self.tree())

    def rss_bytes(self) -> tuple[int, int]:
        """Return resident memory of the daemon itself and of its engine."""
        sizes = [each.memory_info().rss for each in self.tree()]
        return sizes[0], sum(sizes[1:])

    def flush(self, timeout_seconds: float = 120.0) -> None:
        """Wait until everything that the daemon has is in the store."""
        import grpc

        from stepwell_wire.control_pb2 import FlushReply, FlushRequest
        from stepwell_wire.service import FLUSH

        with grpc.insecure_channel(f"unix:{self.socket}") as channel:
            call = channel.unary_unary(FLUSH, FlushRequest.SerializeToString, FlushReply.FromString)
            reply = call(
                FlushRequest(timeout_seconds=timeout_seconds), timeout=timeout_seconds + 10
            )
        if not reply.stored:
            raise RuntimeError(f"not stored after {timeout_seconds} s: {reply.detail}")

    def status(self) -> dict[str, Any]:
        return status_of(self.socket)


def status_of(socket: Path) -> dict[str, Any]:
    """Return the status of the daemon on ``socket``."""
    import grpc

    from stepwell_wire.control_pb2 import StatusReply, StatusRequest
    from stepwell_wire.service import STATUS

    with grpc.insecure_channel(f"unix:{socket}") as channel:
        call = channel.unary_unary(STATUS, StatusRequest.SerializeToString, StatusReply.FromString)
        reply = call(StatusRequest(), timeout=30, wait_for_ready=True)
    answer: dict[str, Any] = json.loads(reply.json)
    return answer


@contextlib.contextmanager
def daemon_running(*arguments: str) -> Iterator[Daemon]:
    """Start a daemon in a folder of its own and point this process's writers at it."""
    folder = Path(tempfile.mkdtemp(prefix="sw-bench-"))
    before = {name: os.environ.get(name) for name in VARIABLES}
    os.environ.update(
        STEPWELL_SOCKET=str(folder / "s.sock"),
        STEPWELL_DATA=str(folder / "data"),
        STEPWELL_DIR=str(folder / "journals"),
        STEPWELL_NO_DAEMON="1",
    )
    command = [sys.executable, "-m", "stepwell_daemon", "--metrics-port", "0", "--hub", "off"]
    command += ["--socket", str(folder / "s.sock"), "--data", str(folder / "data"), *arguments]
    with (folder / "daemon.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    daemon = Daemon(process, folder)
    try:
        deadline = time.monotonic() + 60
        while b"ready " not in (folder / "daemon.log").read_bytes():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / "daemon.log").read_text())
            time.sleep(0.05)
        daemon.flush()  # The engine has its schema; what follows is not the start any more.
        yield daemon
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        process.kill()
        process.wait()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        shutil.rmtree(folder, ignore_errors=True)


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` (0 to 1) of the sorted values lie."""
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


def machine() -> str:
    """Return one line that says where figures were taken."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, {platform.platform()}, "
        f"Python {platform.python_version()}"
    )


class Caller:
    """A process that does one round of its work when it is told to; it speaks in lines.

    It prints ``ready``, then for each line on stdin the seconds that the round took.
    """

    def __init__(self, words: Sequence[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            words,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._expect("ready")

    def call(self, word: str = "") -> float:
        """Let it do one round; return how long that took it, in seconds."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        return float(self._line())

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(120)

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended: {self._process.wait()}")
        return line

    def _expect(self, word: str) -> None:
        # wandb prints lines of its own to stdout.
        while self._line().strip() != word:
            pass


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table; floats get three significant digits."""

    def cell(value: object) -> str:
        return (
            f"{value:,.3g}"
            if isinstance(value, float) and value < 1000
            else (f"{value:,.0f}" if isinstance(value, float | int) else str(value))
        )

    lines = ["| " + " | ".join(headings) + " |", "|" + " --- |" * len(headings)]
    lines += ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)
