"""Images from `log` to the blob store, through real processes."""

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stepwell_store.blob_store import FolderBlobStore, default_blob_store
from tests.node import Node, made_node

pytestmark = pytest.mark.processes

LOG = """
import numpy as np, stepwell
run = stepwell.init(project="p", id="{run}", settings=dict(console=False, metadata=False))
for step in range({count}):
    pixels = np.full((4, 5, 3), step, dtype=np.uint8)
    run.log({{"shown": stepwell.Image(pixels, caption=f"step {{step}}")}}, step=step)
run.finish()
"""


@pytest.fixture
def node() -> Iterator[Node]:
    with made_node() as made:
        yield made


def rows(node: Node, sql: str) -> list[dict[str, Any]]:
    done = node.stepwell("sql", f"{sql} FORMAT JSONEachRow")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def blobs_of(node: Node, run: str) -> dict[str, dict[str, Any]]:
    found = rows(node, f"SELECT * FROM blobs FINAL WHERE run_id = '{run}'")
    return {row["blob"]: row for row in found}


def named_by(node: Node, run: str) -> dict[int, str]:
    """Return the id that each step's row names."""
    found = rows(node, f"SELECT step, text FROM texts WHERE run_id = '{run}' ORDER BY step")
    return {int(row["step"]): json.loads(row["text"])["blob"] for row in found}


def wait_for_blobs(node: Node, run: str, count: int, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while len(blobs_of(node, run)) < count:
        assert time.monotonic() < deadline, f"{len(blobs_of(node, run))} of {count}\n{node.log()}"
        time.sleep(0.1)


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
    done = node.python(LOG.format(run="a", count=20))
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
    assert states == [("failed", "the file is no picture that is known"), ("ready", "")]
    assert len(list((node.data / "blobs" / "failed").iterdir())) == 1
