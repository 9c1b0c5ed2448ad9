"""Scripts that say `import wandb`, as processes of their own under `stepwell run`."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stepwell.testing import RecordingDaemon

_OURS = ("STEPWELL", "WANDB", "RANK", "WORLD_SIZE", "LOCAL_RANK", "PYTHONPATH")


@dataclass
class Desk:
    """A folder to run scripts in, and the daemon that they log to."""

    folder: Path
    daemon: RecordingDaemon

    @property
    def environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(_OURS)},
            "STEPWELL_NO_DAEMON": "1",
            "STEPWELL_GIT": "0",
        }

    def run(
        self,
        script: str | None,
        *arguments: str,
        options: tuple[str, ...] = (),
        words: tuple[str, ...] | None = None,
        **variables: str,
    ) -> "subprocess.CompletedProcess[str]":
        """Run ``script``, or the command ``words``, under `stepwell run`."""
        command = words if words is not None else (sys.executable, "script.py")
        if script is not None:
            (self.folder / "script.py").write_text(textwrap.dedent(script))
        places = ("--socket", self.daemon.socket, "--data", str(self.folder / "data"))
        return self.command(
            sys.executable,
            "-m",
            "stepwell",
            "run",
            *places,
            *options,
            "--",
            *command,
            *arguments,
            **variables,
        )

    def command(self, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            words,
            env={**self.environment, **variables},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def answer(self, script: str, **variables: str) -> Any:
        """Run ``script`` and return the JSON that it prints last."""
        done = self.run(script, **variables)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def desk() -> Iterator[Desk]:
    # Not tmp_path: a unix socket's path has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="sw-wandb-"))
    with RecordingDaemon(folder / "s.sock") as daemon:
        yield Desk(folder, daemon)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def fake_wandb(tmp_path: Path) -> Callable[[], Path]:
    """Make a folder with a package `wandb` that is not ours, as if it were installed."""

    def make() -> Path:
        site = tmp_path / "lib" / "python3.11" / "site-packages"
        (site / "wandb").mkdir(parents=True)
        (site / "wandb" / "__init__.py").write_text("__version__ = '0.19.0'\nreal = True\n")
        (site / "wandb-0.19.0.dist-info").mkdir()
        (site / "wandb-0.19.0.dist-info" / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: wandb\nVersion: 0.19.0\n"
        )
        return site

    return make
