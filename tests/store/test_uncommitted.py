"""Blocks whose id a killed engine had noted, and whose rows it had not stored."""

import resource
import shutil
import signal
from pathlib import Path

import pytest

from stepwell_store import EmbeddedStore, open_embedded
from stepwell_store.deletion import delete_runs
from stepwell_store.uncommitted import drop_uncommitted
from tests.store.made import build, decoded, fresh_project, insert, rows, writer


def opened(data: Path) -> EmbeddedStore:
    store = open_embedded(data, memory_bytes_max=1 << 30)
    store.migrate()
    return store


def log_steps(store: EmbeddedStore, project: str, steps: range) -> None:
    made = decoded([rows(1, steps, list(steps))])
    insert(
        store, build((writer(project), made), schemas={1: ("loss",)}), f"{project}-{steps.start}"
    )


def points_folder(data: Path) -> Path:
    """Return the folder of the parts of `points`."""
    (definition,) = (data / "store").glob("store/*/*/points.sql")
    text = definition.read_text()
    (folder,) = (each for each in (data / "store").glob("store/*/*") if f"'{each.name}'" in text)
    return folder


def newest_part(folder: Path) -> Path:
    return max(folder.glob("all_*"), key=lambda each: int(each.name.split("_")[2]))


@pytest.mark.processes
@pytest.mark.holds("logged-survives-kills")
def test_a_block_whose_id_was_noted_without_its_part_is_stored_when_it_is_sent_again(
    tmp_path: Path,
) -> None:
    """A kill between the two steps is too rare to hit: its result on disk is made instead."""
    project = fresh_project()
    store = opened(tmp_path)
    for start in (0, 10, 20):
        log_steps(store, project, range(start, start + 10))
    store.close()
    folder = points_folder(tmp_path)
    shutil.rmtree(newest_part(folder))
    store = opened(tmp_path)
    try:
        (held,) = store.query("SELECT count() AS n FROM points")
        assert held["n"] == 20
        for start in (0, 10, 20):  # Only the block without rows is stored.
            log_steps(store, project, range(start, start + 10))
        (held,) = store.query("SELECT count() AS n, uniqExact(step) AS steps FROM points")
        assert held == {"n": 30, "steps": 30}
    finally:
        store.close()
    assert "stored when it is sent again" in (tmp_path / "engine.log").read_text()
    assert not drop_uncommitted(tmp_path / "store")


@pytest.mark.processes
def test_ids_of_merged_blocks_are_kept(tmp_path: Path) -> None:
    store = opened(tmp_path)
    project = fresh_project()
    for start in (0, 10, 20):
        log_steps(store, project, range(start, start + 10))
    store.close()
    assert not drop_uncommitted(tmp_path / "store")
    folder = points_folder(tmp_path)
    # As after a merge, when the former parts are removed.
    (folder / "all_1_1_0").rename(folder / "all_1_3_1")
    for name in ("all_2_2_0", "all_3_3_0"):
        shutil.rmtree(folder / name)
    assert not drop_uncommitted(tmp_path / "store")
    (folder / "all_1_3_1").rename(folder / "all_1_2_1")
    (lost,) = drop_uncommitted(tmp_path / "store")
    assert lost.endswith("all_3_3_0")


@pytest.mark.processes
def test_ids_of_deleted_blocks_are_kept(tmp_path: Path) -> None:
    store = opened(tmp_path)
    project = fresh_project()
    log_steps(store, project, range(5))
    delete_runs(store, {project: [writer(project).run_id]}, force=True)
    store.close()
    assert not drop_uncommitted(tmp_path / "store")


def table_folder(store: Path, records: bytes, parts: list[str], *, number: int = 1) -> Path:
    folder = store / "store" / "0ab" / "0abc"
    logs = folder / "deduplication_logs"
    logs.mkdir(parents=True, exist_ok=True)
    for part in parts:
        (folder / part).mkdir()
    log = logs / f"deduplication_log_{number}.txt"
    log.write_bytes(records)
    return log


@pytest.mark.parametrize(
    ("records", "parts", "lost"),
    [
        (b"1\tall_1_1_0\tb1\n1\tall_2_2_0\tb2\n", ["all_1_1_0"], [b"b2"]),
        (b"1\tall_1_1_0\tb1\n1\tall_2_2_0\tb2\n", ["all_2_2_0"], [b"b1"]),
        (b"1\tall_1_1_0\tb1\n1\tall_2_2_0\tb2\n", ["all_1_2_1"], []),
        (b"1\tall_1_1_0\tb1\n1\tall_2_2_0\tb2\n", ["all_1_2_1_7"], []),
        (b"1\tall_2_2_0\tb2\n", ["tmp_insert_all_2_2_0", "detached", "2024_2_2_0"], [b"b2"]),
        (b"1\tall_1_1_0\tb1\n2\tall_1_1_0\tb1\n", [], []),
        (b"1\tall_1_1_0\tb1\n2\tall_1_1_0\tb1\n1\tall_3_3_0\tb1\n", [], [b"b1"]),
        (b"1\tall_1_1_0\tb1\n1\tall_2", ["all_1_1_0"], []),
        (b"a later format\n", [], []),
        (b"", [], []),
    ],
)
def test_only_ids_without_a_part_are_dropped(
    tmp_path: Path, records: bytes, parts: list[str], lost: list[bytes]
) -> None:
    log = table_folder(tmp_path, records, parts)
    assert len(drop_uncommitted(tmp_path)) == len(lost)
    added = log.read_bytes().removeprefix(records).splitlines()
    assert [each.split(b"\t")[0] for each in added] == [b"2"] * len(lost)
    assert [each.split(b"\t")[2] for each in added] == lost
    assert not drop_uncommitted(tmp_path), "dropped once"


def test_an_id_in_the_log_before_an_empty_one_is_dropped(tmp_path: Path) -> None:
    table_folder(tmp_path, b"1\tall_1_1_0\tb1\n", [], number=9)
    newest = table_folder(tmp_path, b"", [], number=10)
    assert drop_uncommitted(tmp_path) == [f"{tmp_path}/store/0ab/0abc/all_1_1_0"]
    assert newest.read_bytes() == b"2\tall_1_1_0\tb1\n"


def test_a_folder_without_a_store_has_nothing_to_drop(tmp_path: Path) -> None:
    assert not drop_uncommitted(tmp_path / "store")


def test_a_full_disk_does_not_keep_the_engine_from_starting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = b"1\tall_1_1_0\tb1\n"
    log = table_folder(tmp_path, records, [])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(records) + 3, limits[1]))
    try:
        assert not drop_uncommitted(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, former)
    assert "may be ignored" in capsys.readouterr().err
    assert log.read_bytes() == records, "no torn record"
    assert drop_uncommitted(tmp_path)
