"""Every image whose `log` returned has its bytes, each exactly once, whatever is killed when."""

import io
import json
import os
import random
import time
import urllib.request

import numpy as np
import pytest
from PIL import Image

from stepwell_store.blob_store import FolderBlobStore, default_blob_store
from stepwell_wire.hub_access import hub_dir
from tests.node import Node
from tests.system.image_trainers import IMAGES, pixels_of
from tests.system.world import Shape, World, world
from tests.waiting import wait_until

pytestmark = pytest.mark.holds("images-come-back")

TRAINERS = 2


def wait_for_named_blobs(node: Node, seconds: float) -> None:
    """Wait until every id that a row names has a row of its own."""
    named = 'arrayJoin(extractAll(text, \'"blob":"([0-9a-f]{32})"\'))'
    sql = (
        f"SELECT count() AS n FROM (SELECT DISTINCT {named} AS id FROM texts) "
        "WHERE id NOT IN (SELECT blob FROM blobs)"
    )

    def left() -> int:
        return int(node.query(sql)[0]["n"])

    wait_until(
        lambda: not left(),
        lambda: f"the bytes of {left()} images\n{node.log()}",
        timeout_seconds=seconds,
    )


def compare(made: World) -> int:
    """Compare all pixels with what was logged; return how many images there are."""
    node = made.store
    blobs = {row["blob"]: row for row in node.query("SELECT * FROM blobs FINAL")}
    kept = FolderBlobStore(default_blob_store(node.data))
    total = 0
    for trainer in made.dead:
        began, returned = trainer.counts()
        found = node.query(
            f"SELECT step, text FROM texts WHERE run_id = 'crash{trainer.number}' ORDER BY step",
        )
        where = f"crash{trainer.number}: began={began} returned={returned} stored={len(found)}"
        assert returned <= len(found) <= began, where
        for step, row in enumerate(found):
            assert int(row["step"]) == step, f"{where}: step {step} is lost or doubled"
            items = json.loads(row["text"])["items"]
            assert len(items) == IMAGES
            for place, item in enumerate(items):
                blob = blobs[item["blob"]]
                assert blob["state"] == "ready", f"{where}: step {step}: {blob}"
                pixels = np.asarray(Image.open(io.BytesIO(kept.open(blob["digest"]).read())))
                assert np.array_equal(pixels, pixels_of(trainer.number, step, place)), where
                total += 1
    return total


def fetched(node: Node) -> bytes:
    """Return the bytes of one image as the hub serves them."""
    url = json.loads(node.stepwell("status", "--json").stdout)["page_url"].rstrip("/")
    key = (hub_dir(node.data) / "key").read_text().strip()

    def get(path: str) -> bytes:
        request = urllib.request.Request(url + path, headers={"Authorization": f"Bearer {key}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bytes(answer.read())

    page = json.loads(get("/api/v1/projects/crash/runs/crash0/media?limit=1"))
    return get(page["values"][0]["items"][0]["url"])


def run(*, kills: int, seed: int, shape: Shape, victims: dict[str, int]) -> World:
    print(f"seed={seed} kills={kills} shape={shape}", flush=True)
    with world(seed, shape) as made:
        made.module = "tests.system.image_trainers"
        made.victims = victims
        if "hub" in victims:
            made.store.variables = {"STEPWELLD_HUB": "auto", "STEPWELLD_HUB_PORT": "0"}
        for node in made.with_daemons:
            node.launch_daemon("--recover-seconds", "1")
        for number in range(TRAINERS):
            made.start_trainer(number)
        number = TRAINERS
        time.sleep(2.0)
        for _ in range(kills):
            time.sleep(made.random.choice([0.05, 0.3, 0.6, 1.5]) * made.random.random())
            if made.kill_one(number) == "trainer":
                number += 1
            made.check_daemons()
        made.stop_trainers()
        made.wait_until_stored(timeout_seconds=300)
        wait_for_named_blobs(made.store, 120)
        total = compare(made)
        print(f"images={total} kills={made.kills}")
        assert total > 50
        if "hub" in victims:
            first = pixels_of(0, 0, 0)
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(fetched(made.store)))), first)
        return made


@pytest.mark.slow
@pytest.mark.processes
def test_random_kills_lose_no_image_and_change_no_pixel(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seed = int(os.environ.get("STEPWELL_TEST_SEED") or random.SystemRandom().randrange(2**32))
    victims = {"trainer": 4, "daemon": 3, "engine": 1, "hub": 2, "worker": 2}
    with capsys.disabled():
        run(kills=30, seed=seed, shape="embedded", victims=victims)


@pytest.mark.slow
@pytest.mark.processes
def test_random_kills_of_nodes_and_gateway_lose_no_image(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seed = int(os.environ.get("STEPWELL_TEST_SEED") or random.SystemRandom().randrange(2**32))
    with capsys.disabled():
        run(kills=12, seed=seed, shape="gateway", victims={"trainer": 3, "daemon": 5, "engine": 1})
