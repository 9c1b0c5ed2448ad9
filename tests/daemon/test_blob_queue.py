"""The blob queue: a staged file is the daemon's when it is durable there, and is taken once."""

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stepwell_daemon.blobs.queue import BlobQueue, staged_names
from stepwell_daemon.errors import BlobRefusedError, BlobsWaitError
from stepwell_wire.errors import StagedDamagedError
from stepwell_wire.folder import JournalFolder
from stepwell_wire.staged import file_name
from tests.daemon.staged import INFO, stage


def anybody(header: Any) -> None:
    """Approve."""


def nobody(header: Any) -> None:
    raise BlobRefusedError(f"not {header.id}")


def make(tmp_path: Path, **named: Any) -> BlobQueue:
    options: dict[str, Any] = {"bytes_max": 1 << 20, "free_bytes_min": 0} | named
    queue = BlobQueue(tmp_path / "blobs", **options)
    queue.open()
    return queue


@contextmanager
def journal(path: Path) -> Iterator[JournalFolder]:
    folder = JournalFolder(path)
    try:
        yield folder
    finally:
        folder.close()


def test_a_staged_file_is_moved_and_waits_over_a_restart(tmp_path: Path) -> None:
    blob_id = stage(tmp_path / "journal", b"hello")
    queue = make(tmp_path)
    with journal(tmp_path / "journal") as folder:
        header = queue.take(folder, blob_id, approve=anybody)
    assert header.payload_bytes == 5
    assert os.listdir(tmp_path / "journal") == []
    assert queue.ids == [blob_id]
    again = make(tmp_path)
    assert again.ids == [blob_id]
    assert again.bytes_held == queue.bytes_held > 5
    assert again.header(blob_id) == header
    again.remove(blob_id)
    assert make(tmp_path).ids == []


def test_the_order_is_that_of_staging(tmp_path: Path) -> None:
    ids = []
    for number in range(5):
        ids.append(stage(tmp_path / "journal", b"%d" % number))
        os.utime(tmp_path / "journal" / file_name(ids[-1]), ns=(number, number))
    with journal(tmp_path / "journal") as folder:
        assert list(staged_names(folder)) == ids


@pytest.mark.holds("damaged-staged-file")
def test_a_damaged_file_is_kept_aside(tmp_path: Path) -> None:
    blob_id = stage(tmp_path / "journal", b"hello")
    path = tmp_path / "journal" / file_name(blob_id)
    path.write_bytes(path.read_bytes()[:-1])
    queue = make(tmp_path)
    with journal(tmp_path / "journal") as folder, pytest.raises(StagedDamagedError):
        queue.take(folder, blob_id, approve=anybody)
    assert queue.ids == []
    assert queue.failed() == [blob_id]


def test_a_file_of_another_writer_stays_where_it_is(tmp_path: Path) -> None:
    blob_id = stage(tmp_path / "journal", b"hello")
    queue = make(tmp_path)
    with journal(tmp_path / "journal") as folder, pytest.raises(BlobRefusedError):
        queue.take(folder, blob_id, approve=nobody)
    assert os.listdir(tmp_path / "journal") == [file_name(blob_id)]


def test_a_link_in_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    blob_id = stage(tmp_path / "other", b"secret")
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / file_name(blob_id)).symlink_to(tmp_path / "other" / file_name(blob_id))
    queue = make(tmp_path)
    with journal(tmp_path / "journal") as folder, pytest.raises(OSError, match="symbolic link"):
        queue.take(folder, blob_id, approve=anybody)
    assert (tmp_path / "other" / file_name(blob_id)).exists()


@pytest.mark.holds("bound-media-queue")
def test_a_full_queue_leaves_files_where_they_are(tmp_path: Path) -> None:
    first, second = stage(tmp_path / "j", bytes(600)), stage(tmp_path / "j", bytes(600))
    queue = make(tmp_path, bytes_max=1200)
    with journal(tmp_path / "j") as folder:
        queue.take(folder, first, approve=anybody)
        with pytest.raises(BlobsWaitError, match="blob_queue_bytes_max"):
            queue.take(folder, second, approve=anybody)
        queue.remove(first)
        queue.take(folder, second, approve=anybody)
    assert queue.ids == [second]


def test_the_last_of_the_disk_is_left_to_rows(tmp_path: Path) -> None:
    blob_id = stage(tmp_path / "j", b"x")
    queue = make(tmp_path, free_bytes_min=1 << 60)
    with journal(tmp_path / "j") as folder, pytest.raises(BlobsWaitError, match="space for rows"):
        queue.take(folder, blob_id, approve=anybody)


def test_another_file_system_is_copied_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob_id = stage(tmp_path / "journal", b"hello")
    queue = make(tmp_path)
    real = os.rename

    def rename(source: Any, target: Any, **named: Any) -> None:
        if "src_dir_fd" in named:
            raise OSError(18, "Invalid cross-device link")
        real(source, target, **named)

    monkeypatch.setattr(os, "rename", rename)
    with journal(tmp_path / "journal") as folder:
        queue.take(folder, blob_id, approve=anybody)
    assert os.listdir(tmp_path / "journal") == []
    assert queue.header(blob_id).payload_bytes == 5


def test_chunks_over_the_socket_go_on_where_they_ended(tmp_path: Path) -> None:
    blob_id = stage(tmp_path / "journal", bytes(range(200)))
    whole = (tmp_path / "journal" / file_name(blob_id)).read_bytes()
    queue = make(tmp_path)
    queue.receive(blob_id, len(whole), 0, whole[:50], zlib.crc32(whole[:50]))
    queue = make(tmp_path)
    assert queue.arrived_bytes(blob_id) == 50
    with pytest.raises(BlobRefusedError, match="50 bytes were received"):
        queue.receive(blob_id, len(whole), 20, whole[20:], zlib.crc32(whole[20:]))
    with pytest.raises(BlobRefusedError, match="checksum"):
        queue.receive(blob_id, len(whole), 50, whole[50:], 1)
    queue.receive(blob_id, len(whole), 50, whole[50:], zlib.crc32(whole[50:]))
    assert queue.accept(blob_id, approve=anybody).payload_bytes == 200
    assert queue.ids == [blob_id]
    assert queue.arrived_bytes(blob_id) == 0


def test_what_arrives_damaged_is_begun_anew(tmp_path: Path) -> None:
    queue = make(tmp_path)
    queue.receive("0" * 32, 80, 0, b"nonsense" * 10, zlib.crc32(b"nonsense" * 10))
    with pytest.raises(StagedDamagedError):
        queue.accept("0" * 32, approve=anybody)
    assert queue.arrived_bytes("0" * 32) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_becomes_the_daemons_own(tmp_path: Path) -> None:
    """A worker without rights reads it, and its owner no longer changes it."""
    blob_id = stage(tmp_path / "journal", b"hello")
    name = tmp_path / "journal" / file_name(blob_id)
    for path in (name.parent, name):
        os.chown(path, 64_002, 64_002)
    queue = make(tmp_path)
    with journal(tmp_path / "journal") as folder, name.open("r+b") as theirs:
        queue.take(folder, blob_id, approve=anybody)
        theirs.write(b"changed afterwards")
    assert os.listdir(tmp_path / "journal") == []
    (taken,) = (path for path in (tmp_path / "blobs").rglob("*") if path.name == blob_id)
    assert taken.stat().st_uid == os.geteuid()
    assert b"changed" not in taken.read_bytes()


def test_a_damaged_file_that_is_to_stay_stays(tmp_path: Path) -> None:
    blob_id = stage(tmp_path / "journal", b"hello")
    path = tmp_path / "journal" / file_name(blob_id)
    path.write_bytes(path.read_bytes()[:-1])
    queue = make(tmp_path)
    with journal(tmp_path / "journal") as folder, pytest.raises(StagedDamagedError):
        queue.take(folder, blob_id, approve=anybody, keep=True)
    assert path.exists()
    assert queue.failed() == [blob_id]


def test_a_header_that_is_no_utf_8_is_damage(tmp_path: Path) -> None:
    blob_id = stage(tmp_path / "journal", b"hello", info=INFO._replace(host="\ud800"))
    queue = make(tmp_path)
    with journal(tmp_path / "journal") as folder, pytest.raises(StagedDamagedError, match="host"):
        queue.take(folder, blob_id, approve=anybody)


def grown(path: Path) -> Any:
    """Approve, and let the file grow at that moment."""

    def approve(header: Any) -> None:
        with path.open("ab") as file:
            file.write(bytes(1 << 20))

    return approve


def test_a_copy_has_no_more_than_what_was_looked_at(tmp_path: Path) -> None:
    """The owner of a file could fill the daemon's disk, or name another run afterwards."""
    blob_id = stage(tmp_path / "journal", b"hello")
    path = tmp_path / "journal" / file_name(blob_id)
    size = path.stat().st_size
    queue = make(tmp_path)
    with journal(tmp_path / "journal") as folder:
        queue.take(folder, blob_id, approve=grown(path), keep=True)
    assert queue.path(blob_id).stat().st_size == size == queue.bytes_held


def test_a_copy_whose_header_was_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    blob_id = stage(tmp_path / "journal", b"hello")
    path = tmp_path / "journal" / file_name(blob_id)
    other = stage(tmp_path / "other", b"hello", info=INFO._replace(run_id="s"))
    theirs = (tmp_path / "other" / file_name(other)).read_bytes()

    def approve(header: Any) -> None:
        path.write_bytes(theirs)

    queue = make(tmp_path)
    with journal(tmp_path / "journal") as folder, pytest.raises(BlobRefusedError, match="changed"):
        queue.take(folder, blob_id, approve=approve, keep=True)
    assert queue.ids == []
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []


def test_what_no_queue_can_hold_is_refused_and_stops_no_other(tmp_path: Path) -> None:
    large, small = stage(tmp_path / "j", bytes(2000)), stage(tmp_path / "j", b"x")
    queue = make(tmp_path, bytes_max=1200)
    with journal(tmp_path / "j") as folder:
        with pytest.raises(BlobRefusedError, match="blob_queue_bytes_max"):
            queue.take(folder, large, approve=anybody)
        queue.take(folder, small, approve=anybody)


def test_what_arrives_counts_until_it_has_stalled(tmp_path: Path) -> None:
    first, second = "1" * 32, "2" * 32
    queue = make(tmp_path, bytes_max=1000)
    data = bytes(600)
    queue.receive(first, 900, 0, data, zlib.crc32(data))
    with pytest.raises(BlobsWaitError, match="blob_queue_bytes_max"):
        queue.receive(second, 900, 0, data, zlib.crc32(data))
    os.utime(queue.arriving_path(first), (0, 0))
    queue.receive(second, 900, 0, data, zlib.crc32(data))
    assert (queue.arrived_bytes(first), queue.arrived_bytes(second)) == (0, 600)


def test_more_than_a_file_has_is_begun_anew(tmp_path: Path) -> None:
    """Else whoever sent something longer under a name would keep the real one away."""
    name, long, short = "1" * 64, bytes(600), bytes(300)
    queue = make(tmp_path)
    queue.receive(name, 600, 0, long, zlib.crc32(long))
    with pytest.raises(BlobsWaitError, match="send it again"):
        queue.receive(name, 300, queue.arrived_bytes(name), b"", 0)
    queue.receive(name, 300, 0, short, zlib.crc32(short))
    with pytest.raises(BlobRefusedError, match="beyond"):
        queue.receive(name, 300, 300, b"x", zlib.crc32(b"x"))
    assert queue.arrived_bytes(name) == 300


def test_a_blob_can_be_put_behind_the_others(tmp_path: Path) -> None:
    ids = [stage(tmp_path / "j", b"%d" % number) for number in range(3)]
    queue = make(tmp_path)
    with journal(tmp_path / "j") as folder:
        for blob_id in ids:
            queue.take(folder, blob_id, approve=anybody)
    queue.scratch_path(ids[0]).write_bytes(b"half")
    queue.put_behind(ids[0])
    assert queue.ids == [ids[1], ids[2], ids[0]]
    assert not queue.scratch_path(ids[0]).exists()
