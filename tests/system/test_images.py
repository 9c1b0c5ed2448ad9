"""Images from `log` to the blob store, through real processes."""

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stepwell_daemon.blobs.start_check import NOTE_FILE
from stepwell_daemon.failpoints import FAILPOINTS
from stepwell_store.blob_store import FolderBlobStore, default_blob_store
from tests.node import Node, free_port
from tests.processes import kill
from tests.waiting import wait_until

pytestmark = pytest.mark.processes

LOG = """
import numpy as np, stepwell
run = stepwell.init(project="p", id="{run}", settings=dict(console=False, metadata=False))
for step in range({count}):
    pixels = np.full((4, 5, 3), step, dtype=np.uint8)
    run.log({{"shown": stepwell.Image(pixels, caption=f"step {{step}}")}}, step=step)
run.finish()
"""


def blobs_of(node: Node, run: str) -> dict[str, dict[str, Any]]:
    found = node.query(f"SELECT * FROM blobs FINAL WHERE run_id = '{run}'")
    return {row["blob"]: row for row in found}


def named_by(node: Node, run: str) -> dict[int, str]:
    """Return the id that each step's row names."""
    found = node.query(f"SELECT step, text FROM texts WHERE run_id = '{run}' ORDER BY step")
    return {int(row["step"]): json.loads(row["text"])["blob"] for row in found}


def wait_for_blobs(node: Node, run: str, count: int) -> None:
    wait_until(
        lambda: len(blobs_of(node, run)) >= count,
        lambda: f"{count} blobs, there are {len(blobs_of(node, run))}\n{node.log()}",
    )


def check(node: Node, run: str, count: int, *, store: Path | None = None) -> None:
    """Raise an AssertionError unless each step's row has the very pixels that were logged."""
    wait_for_blobs(node, run, count)
    blobs, named = blobs_of(node, run), named_by(node, run)
    assert sorted(named) == list(range(count))
    kept = FolderBlobStore(store or default_blob_store(node.data))
    for step, blob_id in named.items():
        row = blobs[blob_id]
        assert (row["state"], row["reason"]) == ("ready", "")
        content = kept.open(row["digest"]).read()
        assert len(content) == int(row["size"])
        pixels = np.asarray(Image.open(io.BytesIO(content)))
        assert (pixels == step).all()
        assert pixels.shape == (4, 5, 3)


def test_every_image_is_stored_with_its_pixels(node: Node) -> None:
    node.start_daemon()
    done = node.python(LOG.format(run="a", count=20), STEPWELL_QUIET="1")
    assert (done.returncode, done.stderr) == (0, "")
    check(node, "a", 20)
    assert [path.name for path in node.journals.iterdir()] == [".runs"]
    assert list((node.data / "blobs" / "waiting").iterdir()) == []


def test_the_same_image_is_stored_once(node: Node) -> None:
    node.start_daemon()
    for run in "ab":
        assert node.python(LOG.format(run=run, count=3)).returncode == 0
        check(node, run, 3)
    kept = list(FolderBlobStore(default_blob_store(node.data)).walk())
    assert len(kept) == 3
    status = json.loads(node.stepwell("status", "--json").stdout)["blobs"]
    assert (status["stored"], status["known"], status["waiting"]) == (6, 3, 0)


@pytest.mark.holds("hostile-picture")
def test_an_image_that_cannot_be_kept_says_why_and_the_next_is_kept(node: Node) -> None:
    node.start_daemon()
    (node.folder / "bad.png").write_bytes(b"no picture")
    done = node.python(
        f"""
import stepwell
run = stepwell.init(project="p", id="a", settings=dict(console=False, metadata=False))
run.log({{"bad": stepwell.Image("{node.folder}/bad.png")}})
run.log({{"good": stepwell.Image([[0, 255]])}})
run.finish()
"""
    )
    assert done.returncode == 0, done.stderr
    wait_for_blobs(node, "a", 2)
    states = sorted((row["state"], row["reason"]) for row in blobs_of(node, "a").values())
    assert states == [("failed", "not a picture in a known format"), ("ready", "")]
    assert len(list((node.data / "blobs" / "failed").iterdir())) == 1


UNFINISHED = LOG.replace(
    "run.finish()\n", "print('logged', flush=True)\nimport time; time.sleep(600)\n"
)


def start_unfinished(node: Node, *, run: str, count: int, **variables: str) -> Any:
    """Start a trainer that logs and then waits; return it when it has logged."""
    process = subprocess.Popen(
        [sys.executable, "-c", UNFINISHED.format(run=run, count=count)],
        env={**node.environment, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"logged\n"
    return process


def test_what_a_killed_trainer_staged_is_taken_with_its_journal(node: Node) -> None:
    trainer = start_unfinished(node, run="a", count=10)  # Nobody listens.
    kill(trainer)
    assert len(list(node.journals.glob("a-*/blob-*"))) == 10
    node.start_daemon("--recover-seconds", "0.2")
    check(node, "a", 10)
    wait_until(lambda: not list(node.journals.glob("a-*")), "the journal to go")


def test_an_unfinished_file_of_a_killed_trainer_is_no_blob(node: Node) -> None:
    kill(start_unfinished(node, run="a", count=2))
    (folder,) = node.journals.glob("a-*")
    (folder / f"blob-{'0' * 32}.new").write_bytes(b"half")
    node.start_daemon("--recover-seconds", "0.2")
    check(node, "a", 2)
    assert len(blobs_of(node, "a")) == 2


@pytest.mark.holds("images-come-back")
def test_an_offline_run_is_synced_with_its_images(node: Node) -> None:
    done = node.python(LOG.format(run="a", count=5), STEPWELL_MODE="offline")
    assert done.returncode == 0, done.stderr
    node.start_daemon("--recover-seconds", "0.2")
    time.sleep(0.5)
    (journal,) = node.journals.glob("a-*")  # Recovery leaves it alone.
    kept = node.stepwell("sync", "--keep", str(node.journals))
    assert kept.returncode == 0, kept.stderr
    assert len(list(journal.glob("blob-*"))) == 5
    check(node, "a", 5)
    synced = node.stepwell("sync", str(node.journals))
    assert synced.returncode == 0, synced.stderr
    assert not journal.exists()
    check(node, "a", 5)
    assert len(blobs_of(node, "a")) == 5


@pytest.mark.holds("images-come-back")
def test_a_damaged_staged_file_is_a_failure_with_its_reason(node: Node) -> None:
    kill(start_unfinished(node, run="a", count=3))
    paths = list(node.journals.glob("a-*/blob-*"))
    paths[0].write_bytes(paths[0].read_bytes()[:-5])  # No footer.
    content = bytearray(paths[1].read_bytes())
    content[3] ^= 1
    paths[1].write_bytes(content)  # Another pixel.
    node.start_daemon("--recover-seconds", "0.2")
    wait_for_blobs(node, "a", 3)
    blobs = blobs_of(node, "a")
    found = {path.name: blobs[path.name.removeprefix("blob-")] for path in paths}
    states = [found[path.name]["state"] for path in paths]
    assert states == ["failed", "failed", "ready"]
    assert "damaged" in found[paths[0].name]["reason"]
    assert "checksum" in found[paths[1].name]["reason"]


def test_a_daemon_that_cannot_see_the_folder_gets_the_files_over_the_socket(node: Node) -> None:
    """As from a container: the journal's path means nothing to the daemon."""
    node.start_daemon()
    code = LOG.format(run="a", count=5)
    hidden = (
        "import stepwell._blob_channel as c\n"
        "real = c.BlobOffer\n"
        "c.BlobOffer = lambda **named: real(**{**named, 'journal_dir': '/nowhere'})\n"
    )
    done = node.python(hidden + code, STEPWELL_QUIET="1")
    assert (done.returncode, done.stderr) == (0, "")
    check(node, "a", 5)
    assert not list((node.data / "blobs" / "arriving").iterdir())


@pytest.mark.holds("images-come-back")
@pytest.mark.parametrize("point", [name for name in FAILPOINTS if name.startswith("blob.")])
def test_a_daemon_killed_at_any_step_of_a_blob_loses_none_and_doubles_none(
    node: Node, point: str
) -> None:
    node.start_daemon()
    node.stop_daemon()
    node.launch_daemon(STEPWELL_FAILPOINT=f"{point}:kill:3")
    trainer = start_unfinished(node, run="a", count=6)
    assert node.daemon is not None
    assert node.daemon.wait(60) == -signal.SIGKILL
    node.start_daemon("--recover-seconds", "0.2")
    check(node, "a", 6)
    kill(trainer)
    assert len(blobs_of(node, "a")) == 6
    assert not list((node.data / "blobs" / "waiting").iterdir())


@pytest.mark.holds("media-hold-nothing-up")
def test_images_wait_while_the_blob_store_cannot_be_written_and_rows_go_on(node: Node) -> None:
    blocked = node.folder / "store"
    blocked.write_text("a file where the folder should be")
    node.data.mkdir(exist_ok=True)
    (node.data / NOTE_FILE).write_text(str(blocked))  # It was usable at the last start.
    node.start_daemon("--blob-store", str(blocked))
    done = node.python(LOG.format(run="a", count=3))
    assert done.returncode == 0, done.stderr
    assert sorted(named_by(node, "a")) == [0, 1, 2]
    status = json.loads(node.stepwell("status", "--json").stdout)
    assert status["blobs"]["waiting"] == 3
    assert str(blocked) in status["blobs"]["problem"]
    assert any("blobs wait" in problem for problem in status["problems"])
    blocked.unlink()
    check(node, "a", 3, store=blocked)


def test_images_reach_the_store_over_a_gateway_that_came_late(node: Node) -> None:
    address = f"127.0.0.1:{free_port()}"
    (node.folder / "g").mkdir()
    gateway = Node(node.folder / "g", arguments=("--gateway-listen", address))
    node.arguments = ("--sink", "gateway", "--gateway-address", address)
    try:
        node.start_daemon()
        for run in "ab":
            done = node.python(LOG.format(run=run, count=5), STEPWELL_QUIET="1")
            assert (done.returncode, done.stderr) == (0, "")
        assert list((node.data / "blobs" / "waiting").iterdir())
        gateway.start_daemon()
        for run in "ab":
            check(gateway, run, 5)
        assert len(list(FolderBlobStore(default_blob_store(gateway.data)).walk())) == 5
        assert not (node.data / "blobstore").exists()
        waiting = node.data / "blobs" / "waiting"
        wait_until(lambda: not list(waiting.iterdir()), "the node to have sent all")
    finally:
        gateway.close()


def test_the_script_of_the_real_client_keeps_its_images(node: Node) -> None:
    node.start_daemon()
    script = node.folder / "tables.py"
    script.write_text((Path(__file__).parents[1] / "wandb_compat" / "media_script.txt").read_text())
    done = node.stepwell("run", "--", sys.executable, str(script))
    assert done.returncode == 0, done.stderr
    wait_until_ready(node, 5)
    (row,) = node.query("SELECT run_id, text FROM texts WHERE metric = 'examples'")
    items = json.loads(row["text"])["items"]
    assert [item["caption"] for item in items] == [f"Sample {number}" for number in range(5)]
    blobs = blobs_of(node, row["run_id"])
    kept = FolderBlobStore(default_blob_store(node.data))
    for item in items:
        content = kept.open(blobs[item["blob"]]["digest"]).read()
        pixels = np.asarray(Image.open(io.BytesIO(content)))
        assert pixels.shape == (28, 28)
        assert pixels.max() > 200  # Floats in [0, 1] are scaled.


def wait_until_ready(node: Node, count: int) -> None:
    def are_ready() -> bool:
        return int(node.query("SELECT count() AS n FROM blobs")[0]["n"]) >= count

    wait_until(are_ready, lambda: f"{count} blobs\n{node.log()}")


SUMMARY = """
import json, stepwell
run = stepwell.init("p", id="a", settings=dict(console=False, metadata=False))
run.log({"loss": 0.5, "logged": stepwell.Image([[0]], caption="first")}, step=3)
run.summary["logged"] = stepwell.Image([[0, 1]])
run.summary["best"] = {"picture": stepwell.Image([[0, 255]]), "acc": 0.9}
run.summary["rows"] = stepwell.Table(columns=["n"], data=[[1], [2]])
run.summary["gone"] = {"picture": stepwell.Image([[1]])}
run.summary["gone"] = 1
names = ("logged", "best", "rows", "gone")
print(json.dumps({name: run.summary[name] for name in names}))
run.finish()
"""


def test_media_that_are_set_in_the_summary_are_stored(node: Node) -> None:
    node.start_daemon()
    done = node.python(SUMMARY)
    assert done.returncode == 0, done.stderr
    wait_for_blobs(node, "a", 5)
    shown = json.loads(node.stepwell("show", "a", "--json").stdout)["summary"]
    loss = {"loss": 0.5}
    assert {k: v for k, v in shown.items() if k[0] != "_"} == json.loads(done.stdout) | loss
    named = {shown["logged"]["blob"], shown["best"]["picture"]["blob"], shown["rows"]["blob"]}
    blobs = blobs_of(node, "a")
    assert {blobs[each]["state"] for each in named} == {"ready"}
    rows = node.query("SELECT DISTINCT metric, step FROM texts WHERE run_id = 'a' ORDER BY metric")
    places = [(row["metric"], int(row["step"])) for row in rows]
    assert places == [(name, 3) for name in ("best.picture", "gone.picture", "logged", "rows")]
    (last,) = node.query("SELECT argMax(text, time) AS text FROM texts WHERE metric = 'logged'")
    assert json.loads(last["text"])["caption"] == "first", "the row keeps its own picture"
    (points,) = node.query("SELECT max(time) AS last FROM points")
    (values,) = node.query("SELECT max(time) AS last FROM texts WHERE run_id = 'a'")
    assert points == values, "the row keeps its time"
