"""What `status`, `doctor` and `spool verify` say of blobs."""

import asyncio
from pathlib import Path

import pytest

from stepwell.cli.checks import blobs
from stepwell.cli.checks.artifacts import failed
from stepwell.cli.checks.finding import Level
from stepwell.cli.checks.stored import journals
from stepwell.cli.status import artifacts_text, media_text
from stepwell.cli.sync import print_waiting
from stepwell_daemon.blobs.inspection import inspect_queue
from stepwell_daemon.blobs.queue import BlobQueue
from stepwell_wire.folder import JournalFolder
from tests.cli.conftest import Call
from tests.daemon.made import append, new_writer, schema_event, spool_running
from tests.daemon.staged import INFO, stage
from tests.fake_daemon import FakeDaemon


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with two blobs that wait, of which one is damaged, and one that failed."""
    queue = BlobQueue(tmp_path / "blobs", bytes_max=1 << 20, free_bytes_min=0)
    queue.open()
    ids = [stage(tmp_path / "journal", b"%d" % number * 100) for number in range(3)]
    folder = JournalFolder(tmp_path / "journal")
    for blob_id in ids:
        queue.take(folder, blob_id, approve=lambda header: None)
    folder.close()
    queue.remove(ids[0], keep=True)
    path = queue.path(ids[1])
    path.write_bytes(b"x" + path.read_bytes()[1:])
    return tmp_path


def test_a_queue_without_a_daemon_is_told_with_what_to_do(data: Path) -> None:
    waiting, failed = blobs.queue(data, None)
    assert (waiting.level, waiting.remedy) == (Level.WARN, "start the daemon; it stores them")
    assert waiting.message.startswith("2 blobs to store, ")
    assert failed.message.startswith("1 failed; kept in")
    assert str(data / "blobs" / "failed") in failed.message


def test_a_blob_store_that_cannot_be_written_is_told_once(data: Path) -> None:
    status = {
        "blobs": {"problem": "the blob store cannot be used", "last_failure": "x: no picture"}
    }
    waiting, failed = blobs.queue(data, status)
    assert "the blob store cannot be used" in waiting.message
    assert "x: no picture" in failed.remedy


def test_a_node_that_never_had_blobs_has_nothing_to_say(tmp_path: Path) -> None:
    assert list(blobs.queue(tmp_path, None)) == []


def test_every_waiting_byte_is_checked_when_asked(data: Path) -> None:
    assert inspect_queue(data / "blobs").damaged == ()
    report = inspect_queue(data / "blobs", read_all=True)
    assert (report.waiting, report.failed, len(report.damaged)) == (2, 1, 1)
    assert "checksum" in report.damaged[0]


def test_spool_verify_checks_blobs_too(call: Call, data: Path) -> None:
    async def write() -> None:
        async with spool_running(data / "spool") as spool:
            append(spool, new_writer(spool), schema_event())
            await spool.settled()

    asyncio.run(write())
    found = call("spool", "verify", "--data", str(data))
    assert found.code == 1
    assert "waiting: 2 blobs" in found.out
    assert "failed, kept in blobs/failed/: 1 blob" in found.out
    assert "damaged blob" in found.out
    as_json = call("spool", "verify", "--json", "--data", str(data))
    assert '"waiting": 2' in as_json.out


def test_a_dead_writer_s_media_are_unsent(tmp_path: Path) -> None:
    from stepwell._journal import Journal

    journal = Journal(tmp_path, INFO, segment_bytes=1 << 16, bytes_max=1 << 20, durable=False)
    stage(journal.folder, bytes(5000))
    journal.close()
    (found,) = journals(tmp_path)
    assert found.level is Level.WARN
    assert "1 ended writer left 5.2" in found.message


def test_the_status_has_a_line_for_media() -> None:
    told = {"stored": 5, "known": 2, "failed": 1, "waiting": 3, "waiting_bytes": 2000}
    assert media_text(told) == ("5 stored, 2 of them already existed, 1 FAILED, 3 waiting (2.0 kB)")
    assert media_text({"stored": 0, "waiting": 0}) == ""


def test_the_status_says_how_far_artifacts_are() -> None:
    told = {
        "committed": 2,
        "failed": 1,
        "last_failure": "ckpt: w.pt: changed in place",
        "waiting": 3,
        "name": "data",
        "progress": {"bytes_done": 1_000_000, "bytes": 4_000_000, "files_done": 1, "files": 9},
    }
    text = artifacts_text(told)
    assert text.startswith("2 committed, 1 FAILED, the last one ckpt: w.pt: changed in place, 3 w")
    assert "data: " in text
    assert artifacts_text({"committed": 0, "waiting": 0}) == ""


def test_failed_artifacts_are_told_by_status_and_doctor() -> None:
    failure = {"at": 1, "project": "p", "name": "data", "run_id": "r", "reason": "another type"}
    others = [{**failure, "name": f"n{number}"} for number in range(5)]
    again = {**failure, "reason": "of long ago"}
    failures = [failure, others[0], again, *others[1:], {**others[4], "run_id": "r2"}]
    told = {"artifacts": {"failed": 0, "failures": failures}}
    assert "8 FAILED, the last one data: another type" in artifacts_text(told["artifacts"])
    findings = list(failed(told))
    assert [each.level for each in findings] == [Level.WARN] * 6
    said = "2 versions of p/data of run r were not made, the last one: another type"
    assert findings[0].message == said
    assert findings[1].message == "no version of p/n0 of run r was made: another type"
    assert findings[1].remedy == "log it again; this is reported for a week"
    assert findings[5].message == "2 more artifacts failed"
    (one,) = failed({"artifacts": {"failures": [{**failure, "has_later": True}]}})
    assert one.remedy.startswith("a later version of that name was made")
    assert list(failed({})) == []


def test_sync_says_which_artifacts_are_not_there_yet(
    daemon: FakeDaemon, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.status["artifacts"] = {"waiting": 2}
    print_waiting(place / "s.sock")
    assert "2 artifacts are still being committed" in capsys.readouterr().err
    daemon.status["artifacts"] = {"waiting": 0}
    print_waiting(place / "s.sock")
    print_waiting(place / "no-daemon.sock")
    assert capsys.readouterr().err == ""
