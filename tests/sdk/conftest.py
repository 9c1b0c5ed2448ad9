"""A recording daemon and a folder for each test; no test sees the user's own settings."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import stepwell
from stepwell import Run, _session
from stepwell.testing import RecordingDaemon

_LAUNCHERS = (
    "RANK",
    "MASTER_",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "SLURM_",
    "OMPI_",
    "PMI",
    "TORCHELASTIC_",
)
_GPUS = ("CUDA_", "NVIDIA_", "HIP_", "ROCR_")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("STEPWELL_", *_LAUNCHERS, *_GPUS)):
            monkeypatch.delenv(name)
    monkeypatch.setenv("STEPWELL_DIR", str(folder / "journals"))
    monkeypatch.setenv("STEPWELL_DATA", str(folder / "data"))
    monkeypatch.setenv("STEPWELL_SOCKET", str(folder / "no-daemon.sock"))
    monkeypatch.setenv("STEPWELL_NO_DAEMON", "1")
    monkeypatch.setenv("STEPWELL_GIT", "0")


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not tmp_path: a unix socket's path has at most 107 bytes.
    made = Path(tempfile.mkdtemp(prefix="sw-sdk-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(autouse=True)
def no_run_is_left(clean_environment: None) -> Iterator[None]:
    yield
    for run in list(_session.active):
        run._recording.settings = run._recording.settings._replace(finish_timeout=0.0)
        run.finish()


@pytest.fixture
def daemon(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingDaemon]:
    with RecordingDaemon(folder / "s.sock") as made:
        monkeypatch.setenv("STEPWELL_SOCKET", made.socket)
        yield made


Start = Callable[..., Run]


@pytest.fixture
def start() -> Start:
    """`init` without metadata and console, with what a test adds."""

    def begin(project: str = "test", **arguments: Any) -> Run:
        settings = {"console": False, "metadata": False, **arguments.pop("settings", {})}
        return stepwell.init(project, settings=settings, **arguments)

    return begin


@pytest.fixture
def offline(start: Start) -> Start:
    """An offline run: what was logged is read back from its journal."""

    def begin(**arguments: Any) -> Run:
        return start(mode="offline", **{"reinit": "create_new", **arguments})

    return begin


def python(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in an interpreter of its own."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
