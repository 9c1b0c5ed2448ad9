"""Media and the collector over two shards: each run's rows lie on one, blobs are common to all."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stepwell_store import BlockBuilder
from stepwell_store.blob_collection import collect_blobs, delete_unowned_rows
from stepwell_store.blob_store import FolderBlobStore
from stepwell_store.queries import delete_run, list_media, media_keys
from stepwell_store.server.store import ServerStore
from stepwell_wire.rows import Event
from tests.blobs import put_back_to, put_blob
from tests.servers.cluster import Cluster
from tests.servers.opened import opened
from tests.store.made import START_US, decoded, event, insert, writer
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

RUNS = 6


def tell(store: ServerStore, run: int, *events: Event) -> int:
    """Store ``events`` where a daemon would; return the shard."""
    who = writer("p", f"r{run}")
    builder = BlockBuilder(store.shard_of(who))
    builder.add(who, decoded(events=events), {})
    insert(store, builder.build(), f"media-{run}-{len(events)}")
    return store.shard_of(who)


def test_media_are_listed_and_collected_over_all_shards(tmp_path: Path) -> None:
    blobs = FolderBlobStore(tmp_path / "blobs")
    digests = []
    for number in range(RUNS + 2):
        digests.append(put_blob(blobs, b"%d" % number))
        put_back_to(blobs, digests[-1], 100.0)
    with Cluster(tmp_path / "cluster") as cluster:
        store = opened(cluster)
        shards = set()
        for run in range(RUNS):
            image = {"_type": "image-file", "blob": f"{run:032x}"}
            body = {"id": f"{run:032x}", "state": "ready", "digest": digests[run], "size": 1}
            shards.add(
                tell(
                    store,
                    run,
                    event("start", {"started_at": START_US}),
                    event("finish", {"state": "finished", "exit_code": 0}, time_us=START_US + 1),
                    event("values", {"values": {"shown": image}}, step=run),
                    event("blob", body),
                )
            )
        # Of a run that is gone.
        body = {"id": "f" * 32, "state": "ready", "digest": digests[RUNS], "size": 1}
        tell(store, 99, event("blob", body))
        assert shards == {0, 1}

        def counted() -> list[tuple[int, int]]:
            return [(key.count, key.runs) for key in media_keys(store, "p", None)]

        # Another replica may answer, and has each insert a moment later.
        wait_until(lambda: counted() == [(RUNS, RUNS)], "all rows in every replica")

        def listed() -> list[tuple[int, str]]:
            page = list_media(store, "p", None, metric="shown")
            return [(value.step, value.items[0].digest) for value in page.items]

        expected = [(run, digests[run]) for run in range(RUNS)]
        wait_until(lambda: listed() == expected, "all media with their blobs")
        delete_run(store, "p", "r2")
        done = collect_blobs(store, blobs, before=2e9)
        assert done.blobs == 3  # Of r2, of the run that is gone, and one that nobody named.
        assert {each.digest for each in blobs.walk()} == set(digests[:RUNS]) - {digests[2]}
        store.close()


def test_a_question_for_rows_without_a_run_is_never_ended_before_every_shard_has_its_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Cluster(tmp_path / "cluster") as cluster:
        store = opened(cluster)
        for run in range(RUNS):
            body = {"id": f"{run:032x}", "state": "ready", "digest": f"{run:064x}", "size": 1}
            tell(store, run, event("blob", body))

        # The rows stay, so that each question has a first row to end at.
        monkeypatch.setattr(ServerStore, "delete_rows", lambda *_: None)

        def looked_for(_: int) -> None:
            delete_unowned_rows(store, before=2e9)

        # Before, with questions that ended at their first row, 1 in 20 found "no table _data2".
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(looked_for, range(400)))
        store.close()
