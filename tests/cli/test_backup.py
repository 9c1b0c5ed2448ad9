"""`stepwell backup`: of a daemon that runs under load, and of a folder without one.

Whatever was acknowledged before it began is in the copy, once, and so is the page's catalog; a
daemon that runs on the copy finds nothing missing or damaged.
"""

import asyncio
import fcntl
import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from stepwell_hub.catalog.catalog import open_catalog
from stepwell_store import EmbeddedStore, connect_embedded
from stepwell_wire.control_pb2 import FlushReply
from tests.cli.conftest import Call
from tests.cli.up import Up
from tests.daemon.made import append, new_writer, schema_event, spool_running
from tests.fake_daemon import FakeDaemon

pytestmark = pytest.mark.processes

TRAINER = """
import stepwell
run = stepwell.init(project="p", id="load", config={"lr": 0.1})
step = 0
while True:
    for _ in range(50):
        run.log({"a": step, "b": step + 1})
        step += 1
    run.flush()
    print(step, flush=True)
"""
METRICS = 2


class Copied(NamedTuple):
    """A daemon on a back-up that was taken under load.

    Attributes:
        steps: how many were acknowledged before the back-up began.
        stored: points in the copy's store before a daemon read the copy's spool.
        view: a saved view of the page in the first daemon's catalog.
    """

    up: Up
    steps: int
    stored: int
    view: dict[str, object]


@pytest.fixture(scope="module")
def copied() -> Iterator[Copied]:
    place = Path(tempfile.mkdtemp(prefix="swb-"))
    first = Up(place / "one")
    trainer = subprocess.Popen(
        [sys.executable, "-c", TRAINER],
        env={**first.environ, "STEPWELL_SILENT": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    copy = place / "two" / "data"
    copy.parent.mkdir()
    try:
        assert trainer.stdout is not None
        for _ in range(20):
            steps = int(trainer.stdout.readline())
        catalog = open_catalog(place / "one" / "data" / "hub")
        view = catalog.save_view(project="p", name="mine", query="sort=-loss")
        catalog.close()
        done = first.call("backup", str(copy))
        assert trainer.poll() is None, "the load was there to the end"
        assert done.returncode == 0, done.stderr
    finally:
        trainer.kill()
        trainer.wait()
        first.process.kill()
        first.process.wait()
    assert not list((place / "one" / "data" / "store" / "shadow").glob("backup*"))
    with closing(connect_embedded(copy)) as store:
        stored = store.query("SELECT count() AS n FROM points")[0]["n"]
    second = Up(place / "two")
    yield Copied(second, steps, stored, view)
    second.process.send_signal(signal.SIGTERM)
    second.process.communicate(timeout=300)
    shutil.rmtree(place)


def test_every_point_acknowledged_before_it_began_is_in_the_copy_once(
    copied: Copied,
) -> None:
    up, steps = copied.up, copied.steps
    done = up.call("export", "load", "-o", "-")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) >= steps
    taken = [row["_step"] for row in rows]
    assert taken[:steps] == list(range(steps))
    assert taken == sorted(set(taken))
    assert all(row["a"] == row["_step"] == row["b"] - 1 for row in rows)
    shown = up.json("show", "load")
    assert shown["point_count"] == len(rows) * METRICS
    assert shown["config"] == {"lr": 0.1}


def test_the_store_of_the_copy_has_what_was_stored_before_it_began(copied: Copied) -> None:
    assert copied.stored >= copied.steps * METRICS


def test_views_of_the_page_and_its_key_are_in_the_copy(copied: Copied) -> None:
    hubs = [Path(copied.up.place.parent, name, "data", "hub") for name in ("one", "two")]
    catalog = open_catalog(hubs[1])
    assert catalog.views("p") == [copied.view]
    catalog.close()
    assert len({(hub / "key").read_bytes() for hub in hubs}) == 1


def test_nothing_of_the_copy_is_damaged_or_open_to_others(copied: Copied) -> None:
    done = copied.up.call("spool", "verify")
    assert done.returncode == 0, done.stdout
    data = copied.up.place / "data"
    private = (data, data / "hub", data / "hub" / "key", data / "hub" / "catalog.db")
    assert [path for path in private if path.stat().st_mode & 0o077] == []


def test_a_folder_without_a_daemon_is_copied(
    spool_folder: Path, call: Call, tmp_path: Path
) -> None:
    done = call("backup", tmp_path / "copy")
    assert done.code == 0, done.err
    shown = call("show", "run-a", "--json", "--data", tmp_path / "copy")
    assert json.loads(shown.out) == json.loads(call("show", "run-a", "--json").out)


def test_a_back_up_holds_the_spool_too_so_no_points_are_reported_missing(
    call: Call, daemon: FakeDaemon, tmp_path: Path
) -> None:
    daemon.flushed = FlushReply(stored=False, pending_bytes=12_000)
    assert "newest points are missing" in call("runs").err
    assert "missing" not in call("backup", tmp_path / "copy").err


def test_points_in_the_spool_of_a_folder_without_a_daemon_are_told(
    spool_folder: Path, call: Call, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    assert call("backup", copy).code == 0

    async def write() -> None:
        async with spool_running(copy / "spool") as spool:
            append(spool, new_writer(spool, "w"), schema_event())
            await spool.settled()

    assert call("runs", "--data", copy).err == ""
    asyncio.run(write())
    told = call("runs", "--data", copy)
    assert told.code == 0
    assert f"in the spool of {copy} are not in the store" in told.err


def test_a_folder_that_exists_is_left_as_it_is(call: Call, tmp_path: Path) -> None:
    done = call("backup", tmp_path)
    assert done.code == 2
    assert f"{tmp_path} exists" in done.err


def test_a_folder_that_a_daemon_on_another_socket_has_is_refused(
    store: EmbeddedStore, call: Call, tmp_path: Path
) -> None:
    with (store.data_dir / "daemon.lock").open("w") as lock:
        lock.write("123\n/run/other.sock\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = call("backup", tmp_path / "copy")
    assert done.code == 3
    assert "/run/other.sock" in done.err
    assert list(tmp_path.iterdir()) == []
