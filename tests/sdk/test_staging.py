"""Staging: what is logged beside the journal, handed over, bounded and never in training's way."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from stepwell import Html, Table
from stepwell._blob_delivery import BlobDelivery, HandedOver
from stepwell._staging import Stager, blobs_in
from stepwell._values import split_values
from stepwell.testing import RecordingDaemon
from stepwell_wire.blobs_pb2 import SEND, BlobReply
from stepwell_wire.journal_files import WriterFile
from stepwell_wire.staged import file_name, id_of, read_header
from tests.sdk.conftest import Start

INFO = WriterFile("p", "r", "w", "rank-0", host="node", pid=7)


def make(folder: Path, **named: Any) -> Stager:
    options: dict[str, Any] = {"bytes_max": 10_000, "free_bytes_min": 0} | named
    return Stager(folder, INFO, **options)


def test_a_staged_file_says_whose_it_is(tmp_path: Path) -> None:
    stager = make(tmp_path)
    blob_id = stager.keep("text", {"media_type": "text/html"}, [b"ab", memoryview(b"cd")])["blob"]
    path = tmp_path / file_name(blob_id)
    with path.open("rb") as file:
        header = read_header(file.fileno(), path.name)
        assert file.read(4) == b"abcd"
    assert (header.project, header.run_id, header.writer_id) == ("p", "r", "w")
    assert (header.kind, header.payload_bytes) == ("text", 4)
    assert [id_of(name) for name in os.listdir(tmp_path)] == [blob_id]  # Nothing unfinished.


@pytest.mark.holds("media-hold-nothing-up", "bound-staged-media")
def test_what_exceeds_the_quota_is_not_kept(tmp_path: Path) -> None:
    stager = make(tmp_path, bytes_max=1000)
    first = stager.keep("text", {}, [bytes(800)])
    second = stager.keep("text", {}, [bytes(300)])
    assert first["blob"] is not None
    assert second["blob"] is None
    assert "exceed blob_bytes_max (1000)" in second["failed"]
    assert stager.dropped == 1
    stager.forget([first["blob"]])
    assert stager.keep("text", {}, [bytes(300)])["blob"] is not None
    assert len(os.listdir(tmp_path)) == 1


def test_media_that_are_not_kept_are_told_by_the_name_they_were_logged_by(tmp_path: Path) -> None:
    stager = make(tmp_path, bytes_max=1)
    told: dict[str, str] = {}
    logged = {"plots": {"page": Html("<b>1</b>")}, "two": [Html("<b>2</b>"), Html("<b>3</b>")]}
    split_values(logged, told.setdefault, stager)
    assert len(told) == 2  # Once a name.
    for text, name in zip(told.values(), ("plots.page", "two"), strict=True):
        assert text.startswith(f"{name!r}: the Html was not stored")
        assert "training continues" in text
        assert "blob_bytes_max" in text


@pytest.mark.holds("bound-staged-media")
def test_what_crashed_trainers_left_is_bounded_together(tmp_path: Path) -> None:
    for number in range(3):
        folder = tmp_path / f"run-{number}"
        folder.mkdir()
        stager = make(folder, together_bytes_max=2_500)
        kept = stager.keep("text", {"media_type": "text/html"}, [bytes(1_000)])
        assert (kept["blob"] is None) == (number == 2)
    assert "media of other runs" in kept["failed"]
    assert os.listdir(folder) == []


def test_the_last_of_the_disk_is_left_to_rows(tmp_path: Path) -> None:
    stager = make(tmp_path, free_bytes_min=1 << 60)
    assert "are reserved for rows" in stager.keep("text", {}, [b"x"])["failed"]
    assert os.listdir(tmp_path) == []


def test_a_disk_that_fails_costs_the_blob_and_leaves_nothing(tmp_path: Path) -> None:
    stager = make(tmp_path / "gone")
    assert "No such file" in stager.keep("text", {}, [b"x"])["failed"]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    stager = make(tmp_path)
    failed = stager.keep_file("file", {}, tmp_path / "none.png")["failed"]
    assert "none.png: No such file" in failed
    assert stager.staged() == []


def test_ids_are_found_in_what_a_row_keeps() -> None:
    row = {
        "one": {"_type": "image-file", "blob": "a"},
        "list": {"_type": "images/separated", "items": [{"_type": "image-file", "blob": "b"}]},
        "mine": {"blob": "not one of ours"},
        "lost": {"_type": "image-file", "blob": None},
    }
    assert sorted(blobs_in(row)) == ["a", "b"]


def values_of(daemon: RecordingDaemon) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for event in daemon.events("values"):
        found.update(event.body["values"])
    return found


def staged_files(run: Any) -> list[str]:
    return [name for name in os.listdir(run._journal_dir) if name.startswith("blob-")]


def test_what_is_logged_is_handed_over_and_removed(start: Start, daemon: RecordingDaemon) -> None:
    run = start(id="a")
    run.log({"page": Html("<b>1</b>"), "loss": 1.0})
    run.log({"pages": [Html("<b>2</b>"), Html("<b>3</b>")]})
    assert run.flush()
    assert staged_files(run) == []
    values = values_of(daemon)
    assert values["page"].keys() == {"_type", "format", "blob"}
    assert daemon.blobs[values["page"]["blob"]].payload == b"<b>1</b>"
    assert (values["pages"]["_type"], values["pages"]["count"]) == ("html", 2)
    payloads = [daemon.blobs[item["blob"]].payload for item in values["pages"]["items"]]
    assert payloads == [b"<b>2</b>", b"<b>3</b>"]
    folder = Path(run._journal_dir)
    run.finish()
    assert not folder.exists()


def test_finish_waits_for_blobs(start: Start, daemon: RecordingDaemon) -> None:
    run = start()
    for number in range(200):
        run.log({"page": Html(f"<b>{number}</b>")})
    folder = Path(run._journal_dir)
    run.finish()
    assert len(daemon.blobs) == 200
    assert not folder.exists()


def test_a_daemon_that_comes_back_gets_the_rest(start: Start, daemon: RecordingDaemon) -> None:
    run = start()
    run.log({"page": Html("<b>1</b>")})
    assert run.flush()
    daemon.stop()
    run.log({"page": Html("<b>2</b>")})
    assert not run.flush(0.2)
    assert len(staged_files(run)) == 1
    daemon.start()
    assert run.flush()
    assert {blob.payload for blob in daemon.blobs.values()} == {b"<b>1</b>", b"<b>2</b>"}


def test_without_a_daemon_all_stays_beside_the_journal(start: Start) -> None:
    run = start(settings={"finish_timeout": 0.0})
    run.log({"page": Html("<b>1</b>")})
    run.finish()
    assert len(staged_files(run)) == 1


def test_a_row_that_finds_no_room_leaves_no_file(start: Start) -> None:
    small = {"journal_segment_bytes": 65536, "journal_bytes_max": 131072, "finish_timeout": 0.0}
    run = start(settings=small)
    for _ in range(20):
        run.log({"text": "x" * 20_000})
    assert run.dropped_points
    run.log({"page": Html("<b>1</b>")})
    assert staged_files(run) == []


def test_a_table_whose_row_finds_no_room_leaves_no_picture_of_its_cells(start: Start) -> None:
    small = {"journal_segment_bytes": 65536, "journal_bytes_max": 131072, "finish_timeout": 0.0}
    run = start(settings=small)
    for _ in range(20):
        run.log({"text": "x" * 20_000})
    assert run.dropped_points
    run.log({"table": Table(columns=["page"], data=[[Html("<b>1</b>")]])})
    assert staged_files(run) == []


def test_cells_of_a_table_that_is_not_kept_go_too(tmp_path: Path) -> None:
    stager = make(tmp_path, bytes_max=1_000)
    row = Table(columns=["page", "text"], data=[[Html("<b>1</b>"), "x" * 2_000]])
    assert row.described(stager, lambda kind, text: None)["blob"] is None
    assert (stager.staged(), os.listdir(tmp_path)) == ([], [])


def test_a_sync_that_fails_is_made_up_for_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stager = make(tmp_path)
    for text in (b"a", b"b"):
        stager.keep("text", {"media_type": "text/html"}, [text])
    real, synced, fails = os.fdatasync, [], [True]

    def fdatasync(descriptor: int) -> None:
        if fails and fails.pop():
            raise OSError(5, "Input/output error")
        synced.append(descriptor)
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    with pytest.raises(OSError, match="Input"):
        stager.sync()
    assert synced == []
    stager.sync()
    assert len(synced) == 2
    stager.sync()
    assert len(synced) == 2


def test_a_mistake_raises_before_anything_is_staged(start: Start) -> None:
    run = start()
    try:
        run.log({"page": Html("<b>1</b>")}, step="one")  # type: ignore[arg-type]
    except TypeError:
        pass
    assert staged_files(run) == []


def test_a_config_keeps_no_bytes(start: Start, daemon: RecordingDaemon) -> None:
    run = start()
    run.config.update({"page": Html("<b>1</b>")})
    run.finish()
    assert daemon.merged("config")["page"]["kept"] is False
    assert daemon.blobs == {}


def test_a_forked_child_hands_over_its_own(start: Start, daemon: RecordingDaemon) -> None:
    run = start(id="a")
    run.log({"page": Html("parent")})
    assert run.flush()
    pid = os.fork()
    if pid == 0:
        run.log({"page": Html("child")})
        run.finish()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    run.finish()
    held = {blob.payload for blob in daemon.blobs.values()}
    left = [path.read_bytes()[:5] for path in Path(run.settings.journals_dir).rglob("blob-*")]
    # A relay sends it, or its journal keeps it for the daemon's recovery.
    assert held | set(left) == {b"parent", b"child"}


def test_a_signal_handler_may_log_media_in_the_middle_of_staging(
    start: Start, daemon: RecordingDaemon
) -> None:
    run = start()
    logged = []

    def handler(number: int, frame: object) -> None:
        logged.append(number)
        run.log({"page": Html("handler")})
        if not is_over:  # Only now: on a slow machine the next one would come inside of this one.
            signal.setitimer(signal.ITIMER_REAL, 0.001)

    is_over = False
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    try:
        for number in range(300):
            run.log({"page": Html(f"loop {number}")})
    finally:
        is_over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    run.finish()
    payloads = [blob.payload for blob in daemon.blobs.values()]
    assert payloads.count(b"handler") == len(logged) > 0
    assert len(payloads) == 300 + len(logged)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_told_and_keeps_no_trainer_waiting(tmp_path: Path, kind: str) -> None:
    path = Path("/dev/zero")
    if kind == "pipe":
        path = tmp_path / "pipe.png"
        os.mkfifo(path)
    stager = make(tmp_path)
    assert "not a regular file" in stager.keep_file("file", {}, path)["failed"]
    assert stager.staged() == []


def test_a_file_that_grows_is_kept_as_long_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(bytes(100))
    stager = make(tmp_path)
    real = stager._write

    def write(*values: Any) -> int:
        with path.open("ab") as file:
            file.write(bytes(5000))
        return real(*values)

    stager._write = write  # type: ignore[method-assign]
    kept = stager.keep_file("file", {}, path)
    descriptor = os.open(tmp_path / file_name(kept["blob"]), os.O_RDONLY)
    assert read_header(descriptor, "").payload_bytes == 100
    os.close(descriptor)


def test_a_file_that_somebody_else_handed_over_is_waited_for_no_longer(tmp_path: Path) -> None:
    class Channel:
        def offer(self, ids: Any, *, keep: bool) -> list[BlobReply]:
            return [BlobReply(name=each, outcome=SEND) for each in ids]

        def put(self, blob_id: str, offset: int) -> BlobReply:
            raise FileNotFoundError(blob_id)

    delivery = BlobDelivery("", tmp_path, "w")
    delivery._channel = Channel()  # type: ignore[assignment]
    assert delivery.hand_over(["0" * 32]) == HandedOver(["0" * 32], {}, "")
