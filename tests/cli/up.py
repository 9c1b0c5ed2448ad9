"""A daemon that runs, with what was logged into it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ENVIRONMENT = {name: value for name, value in os.environ.items() if "STEPWELL" not in name}


class Up:
    """`stepwell up` on a folder of its own."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.environ = {
            **ENVIRONMENT,
            "STEPWELL_SOCKET": str(place / "s.sock"),
            "STEPWELL_DATA": str(place / "data"),
            "STEPWELL_DIR": str(place / "journals"),
        }
        self.process = self.start()
        assert self.process.stdout is not None
        self.said = ""
        while "Ctrl-C" not in self.said:
            line = self.process.stdout.readline()
            assert line, self.process.communicate()[1]
            self.said += line

    def start(self, *more: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "stepwell", "up", "--metrics-port", "0", *more],
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, *words: str, timeout: float = 120) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "stepwell", *words],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def json(self, *words: str) -> Any:
        done = self.call(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
