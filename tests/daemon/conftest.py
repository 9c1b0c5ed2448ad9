"""A daemon as a real process, with its engine, in a folder of its own."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Process:
    """Starts, stops and kills a daemon on one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "s.sock"
        self.data = folder / "d"
        self.journals = folder / "j"
        self.running: subprocess.Popen[bytes] | None = None
        self.log = folder / "log"
        self.extra_environment: dict[str, str] = {}

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if "STEPWELL" not in name}
        # The hub is on where a test asks for it.
        ours = {"STEPWELL_DIR": str(self.journals), "STEPWELLD_HUB": "off"}
        return {**kept, **ours, **self.extra_environment}

    def command(self, *arguments: str) -> list[str]:
        return [
            *(sys.executable, "-m", "stepwell_daemon", "--metrics-port", "0"),
            *("--socket", str(self.socket), "--data", str(self.data)),
            *("--sample-seconds", "0", *arguments),
        ]

    def start(self, *arguments: str) -> None:
        with self.log.open("wb") as log:
            self.running = subprocess.Popen(
                self.command(*arguments), env=self.environment, stdout=log, stderr=log
            )
        self.wait_logged("ready ")

    def wait_logged(self, text: str) -> None:
        """Wait until the daemon's log holds ``text``; fail when it ends before."""
        assert self.running is not None
        deadline = time.monotonic() + 60
        while text not in self.log.read_text():
            if self.running.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"not in the log: {text}\n{self.log.read_text()}")
            time.sleep(0.02)

    def stop(self, how: int = signal.SIGTERM) -> int:
        assert self.running is not None
        self.running.send_signal(how)
        code = self.running.wait(60)
        self.running = None
        return code


@contextmanager
def made_process() -> Iterator[Process]:
    # Not tmp_path: a unix socket's path has at most 107 bytes.
    made = Process(Path(tempfile.mkdtemp(prefix="swd-")))
    try:
        yield made
    finally:
        if made.running is not None and made.running.poll() is None:
            made.stop(signal.SIGKILL)
        shutil.rmtree(made.folder, ignore_errors=True)


@pytest.fixture
def process() -> Iterator[Process]:
    with made_process() as made:
        yield made
