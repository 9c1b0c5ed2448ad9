"""A store with known runs behind a live engine, and the command line called in this process."""

import math
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from stepwell.cli.__main__ import main
from stepwell_store import EmbeddedStore, open_embedded
from tests.fake_daemon import FakeDaemon
from tests.store.made import START_US, event, log, tell, writer


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Call = Callable[..., Outcome]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    """One engine for all tests; a test that changes something makes runs of its own."""
    opened = open_embedded(tmp_path_factory.mktemp("data"), memory_bytes_max=1 << 30)
    opened.migrate()
    made(opened, "digits", "run-a", name="first try")
    made(opened, "digits", "run-b", name="second try")
    made(opened, "faces", "run-c", name="faces", state="failed", exit_code=7)
    yield opened
    opened.close()


def made(
    store: EmbeddedStore,
    project: str,
    run_id: str,
    *,
    name: str,
    state: str = "finished",
    exit_code: int = 0,
) -> None:
    """Store a run of ten steps with every kind of value."""
    who = writer(project, run_id, host="node-a")
    start = {
        "project": project,
        "run_id": run_id,
        "writer_id": "w",
        "label": "",
        "rank": 0,
        "world_size": 1,
        "name": name,
        "host": "node-a",
        "pid": 42,
        "started_at": START_US,
        "client": "test",
        "resumed": False,
    }
    losses = [1.0 / (step + 1) for step in range(10)]
    odd = [math.nan, math.inf, -math.inf] + [0.5] * 7
    log(store, who, range(10), **{"train/loss": losses, "odd": odd})
    tell(
        store,
        who,
        event("start", start),
        event("run", {"name": name, "tags": ["small", "fast"]}),
        event("config", {"set": {"lr": 0.1, "net": {"hidden": 64}}, "delete": []}),
        event("values", {"values": {"note": 'good, "really"', "shape": [1, 2]}}, step=3),
        event(
            "histograms",
            {"values": {"weights": {"counts": [1, 2], "low": 0.0, "high": 1.0, "nan_count": 3}}},
            step=4,
        ),
        event(
            "console",
            {
                "stream": "stdout",
                "lines": [
                    [1, START_US, "begin"],
                    [2, START_US + 1, "\x1b[31mred\x1b[0m \x07bell"],
                ],
            },
        ),
        event("finish", {"state": state, "exit_code": exit_code}, time_us=START_US + 90_000_000),
    )
    node = writer("", "node-a", scope="node", host="node-a")
    log(store, node, range(3), **{"cpu/utilization_ratio": [0.25, 0.5, 0.75]})


@pytest.fixture
def spool_folder(store: EmbeddedStore) -> Iterator[Path]:
    """A spool beside the store, for one test: the others have none."""
    folder = store.data_dir / "spool"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short path: a unix socket's has at most 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="swc-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def call(
    store: EmbeddedStore,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Call:
    """The command line on that store, with no daemon unless the test has one."""
    monkeypatch.setenv("STEPWELL_DATA", str(store.data_dir))
    monkeypatch.setenv("STEPWELL_SOCKET", str(place / "s.sock"))
    monkeypatch.setenv("STEPWELL_DIR", str(place / "journals"))

    def run(*arguments: str | Path) -> Outcome:
        capfdbinary.readouterr()
        try:
            code = main([str(each) for each in arguments])
        except SystemExit as error:  # argparse ends so, on wrong usage
            code = int(error.code or 0)
        out, err = capfdbinary.readouterr()
        return Outcome(code, out.decode(), err.decode())

    return run


@pytest.fixture
def daemon(store: EmbeddedStore, place: Path) -> Iterator[FakeDaemon]:
    made = FakeDaemon(place / "s.sock", store.data_dir)
    yield made
    made.stop()
