"""Real processes: a daemon with its embedded engine in a folder of its own."""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def free_port() -> int:
    """Return a port of loopback that is free now.

    From below those that the system gives to outgoing connections, one of which could take it
    before the server does.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


@dataclass
class Node:
    """A node: a folder, the environment that points every part at it, and perhaps a daemon."""

    folder: Path
    daemon: subprocess.Popen[bytes] | None = None
    variables: dict[str, str] = field(default_factory=dict)
    """More of the environment, for all parts."""
    arguments: tuple[str, ...] = ()
    """Of each of its daemons."""
    wrapper: tuple[str, ...] = ()
    """A command that becomes the daemon; the daemon's words follow it."""

    @property
    def socket(self) -> Path:
        return self.folder / "s.sock"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def journals(self) -> Path:
        return self.folder / "journals"

    @property
    def environment(self) -> dict[str, str]:
        # Trials run in threads, and pytest names the current test in a variable meanwhile: it may
        # be gone between its name and its value.
        names = [name for name in os.environ if "STEPWELL" not in name]
        return {
            **{name: value for name in names if (value := os.environ.get(name)) is not None},
            "STEPWELL_SOCKET": str(self.socket),
            "STEPWELL_DATA": str(self.data),
            "STEPWELL_DIR": str(self.journals),
            "STEPWELL_NO_DAEMON": "1",
            "STEPWELLD_HUB": "off",  # tests/hub asks for one.
            **self.variables,
        }

    def start_daemon(self, *arguments: str) -> None:
        """Start a daemon and wait until it accepts."""
        log_path = self.launch_daemon(*arguments)
        assert self.daemon is not None
        deadline = time.monotonic() + 60
        while b"ready " not in log_path.read_bytes():
            if self.daemon.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the daemon did not start:\n{log_path.read_text()}")
            time.sleep(0.05)

    def launch_daemon(self, *arguments: str, **variables: str) -> Path:
        """Start a daemon and return its log at once, also if it fails."""
        log_path = self.folder / f"daemon-{time.monotonic_ns()}.log"
        words = (sys.executable, "-m", "stepwell_daemon", "--metrics-port", "0")
        with log_path.open("wb") as log:
            self.daemon = subprocess.Popen(
                [*self.wrapper, *words, *self.arguments, *arguments],
                env={**self.environment, **variables},
                stdout=log,
                stderr=log,
            )
        return log_path

    def log(self) -> str:
        """Return what the daemons said lately."""
        paths = sorted(self.folder.glob("daemon-*.log"))
        return "\n".join(path.read_text("utf-8", "replace") for path in paths)[-8000:]

    def stop_daemon(self, *, how: int = signal.SIGTERM) -> int:
        assert self.daemon is not None
        self.daemon.send_signal(how)
        code = self.daemon.wait(60)
        self.daemon = None
        return code

    def close(self) -> None:
        """End its daemon, if there is one, by all means."""
        if self.daemon is not None and self.daemon.poll() is None:
            self.stop_daemon(how=signal.SIGKILL)

    def python(self, code: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.command([sys.executable, "-c", code], **variables)

    def stepwell(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.command([sys.executable, "-m", "stepwell", *arguments])

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows that `stepwell sql` gives."""
        done = self.stepwell("sql", f"{sql} FORMAT JSONEachRow")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def command(self, words: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )


@contextmanager
def made_node() -> Iterator[Node]:
    # Not tmp_path: a unix socket's path has at most 107 bytes.
    made = Node(Path(tempfile.mkdtemp(prefix="sw-")))
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(made.folder, ignore_errors=True)
