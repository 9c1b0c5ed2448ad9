"""`sync` sends what offline and dead writers left, once."""

import struct
from contextlib import closing
from pathlib import Path

import pytest

import stepwell
from stepwell._sync import SyncProgress, SyncReport
from stepwell.cli.sync import report_text
from stepwell.errors import DaemonUnreachableError, SyncError
from stepwell.testing import RecordingDaemon
from stepwell_wire.journal import JournalReader
from stepwell_wire.journal_files import find_journals
from stepwell_wire.segment import ACKED_AT, ACKED_COPY_AT
from tests.sdk.conftest import Start, python


def log_offline(offline: Start, name: str, count: int = 100) -> str:
    run = offline(id=name, config={"name": name})
    for i in range(count):
        run.log({"x": float(i)})
    folder = run._journal_dir
    run.finish()
    return folder


def test_an_offline_run_is_sent_whole_and_removed(offline: Start, daemon: RecordingDaemon) -> None:
    folder = log_offline(offline, "one")
    report = stepwell.sync(folder)
    assert report.sent == ("test/one",)
    assert not report.failed
    assert [point.value for point in daemon.points("x")] == [float(i) for i in range(100)]
    assert daemon.events()[-1].kind == "finish"
    assert daemon.writers[0].hello.recovered
    assert not Path(folder).exists()
    assert report.sent_bytes == len(daemon.writers[0].records)


def test_a_killed_run_is_resumed_after_its_last_step_also_when_it_was_sent(
    start: Start, daemon: RecordingDaemon
) -> None:
    """Its own note of the step is up to two seconds old."""
    python(
        "import os, signal, stepwell\n"
        "run = stepwell.init('test', id='killed', mode='offline')\n"
        "for i in range(50): run.log({'x': 1.0})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert stepwell.sync().sent == ("test/killed",)
    assert start(mode="offline", id="killed", resume="must").step == 50


@pytest.mark.holds("offline-counts-once")
def test_sending_twice_adds_nothing(offline: Start, daemon: RecordingDaemon) -> None:
    folder = log_offline(offline, "one")
    stepwell.sync(folder, keep=True)
    again = stepwell.sync(folder, keep=True)
    assert again.sent_bytes == 0
    assert len(daemon.points("x")) == 100
    assert daemon.writers[0].duplicate_bytes == 0
    assert stepwell.sync(Path(folder).parent).sent == ("test/one",)
    assert stepwell.sync(Path(folder).parent).sent == ()


def test_a_kept_journal_is_sent_whole_to_another_daemon_too(
    offline: Start, daemon: RecordingDaemon, tmp_path: Path
) -> None:
    folder = log_offline(offline, "one")
    stepwell.sync(folder, keep=True)
    with RecordingDaemon(tmp_path / "other.sock") as other:
        report = stepwell.sync(folder, socket=other.socket)
        assert report.sent == ("test/one",)
        assert report.sent_bytes == len(daemon.writers[0].records)
        assert len(other.points("x")) == 100
    assert not Path(folder).exists()


@pytest.mark.holds("journal-damage-is-told", "missing-journal-segment")
@pytest.mark.parametrize("which", ["first", "middle", "last", "all"])
def test_a_journal_without_one_of_its_segments_is_kept_and_named(
    offline: Start, daemon: RecordingDaemon, which: str
) -> None:
    run = offline(id="one", settings={"journal_segment_bytes": 64 * 1024})
    for i in range(8000):
        run.log({"x": float(i)})
    run.finish()
    segments = sorted(Path(run._journal_dir).glob("*.seg"))
    assert len(segments) > 2
    gone = {"first": segments[:1], "middle": segments[1:2], "last": segments[-1:]}
    for path in gone.get(which, segments):
        path.unlink()
    left = sorted(Path(run._journal_dir).iterdir())
    report = stepwell.sync(run._journal_dir)
    assert report.sent == ()
    ((journal, reason),) = report.failed
    assert journal == Path(run._journal_dir)
    if which == "all":
        assert reason.endswith("no segments: the journal contains no data; remove the folder")
    else:
        assert "is missing" in reason
        assert reason.endswith("; `stepwell journal repair` sends the readable rows")
    assert not daemon.points()
    assert sorted(Path(run._journal_dir).iterdir()) == left


@pytest.mark.holds("flipped-bit")
def test_a_value_that_changed_after_the_run_is_not_sent(
    offline: Start, daemon: RecordingDaemon
) -> None:
    folder = Path(log_offline(offline, "one"))
    (path,) = folder.glob("*.seg")
    whole = path.read_bytes()
    at = whole.index(struct.pack("<d", 37.0))
    path.write_bytes(whole[:at] + struct.pack("<d", 38.0) + whole[at + 8 :])
    ((_, reason),) = stepwell.sync(folder).failed
    assert "do not match their checksum" in reason
    assert not daemon.points()
    path.write_bytes(whole)
    assert stepwell.sync(folder).sent == ("test/one",)


@pytest.mark.holds("flipped-bit")
def test_no_flipped_bit_makes_an_ack_a_later_one(offline: Start) -> None:
    folder = Path(log_offline(offline, "one"))
    (path,) = folder.glob("*.seg")
    for acked in (0, 512):
        with closing(JournalReader(folder)) as reader:
            reader.mark_acked(acked)
        whole = path.read_bytes()
        for place in (ACKED_AT, ACKED_COPY_AT):
            for bit in range(64):
                changed = bytearray(whole)
                changed[place + bit // 8] ^= 1 << bit % 8
                path.write_bytes(changed)
                with closing(JournalReader(folder)) as reader:
                    assert reader.acked <= acked
        path.write_bytes(whole)
        with closing(JournalReader(folder)) as reader:
            assert reader.acked == acked


def test_records_of_nobody_are_named_and_the_others_are_sent(
    offline: Start, daemon: RecordingDaemon, folder: Path
) -> None:
    lost = Path(log_offline(offline, "one"))
    log_offline(offline, "two")
    (lost / "writer.json").unlink()
    report = stepwell.sync(folder / "journals")
    assert report.sent == ("test/two",)
    ((path, reason),) = report.failed
    assert path == lost
    assert f"`stepwell journal repair {lost} --unverified --project" in reason
    assert stepwell.sync(lost).failed == report.failed
    assert daemon.run_ids == ["two"]


def test_a_folder_of_journals_is_sent_with_progress(
    offline: Start, daemon: RecordingDaemon, folder: Path
) -> None:
    for name in ("one", "two", "three"):
        log_offline(offline, name, 20_000)
    seen: list[SyncProgress] = []
    report = stepwell.sync([folder / "journals"], progress=seen.append)
    assert report.sent == ("test/one", "test/two", "test/three")
    assert {each.journal_count for each in seen} == {3}
    assert [each.sent_bytes for each in seen] == sorted(each.sent_bytes for each in seen)
    assert seen[-1].journal is None
    assert seen[-1].sent_bytes == seen[-1].total_bytes == report.sent_bytes
    assert daemon.run_ids == ["one", "two", "three"]


def test_a_live_writer_is_left_alone(offline: Start, daemon: RecordingDaemon) -> None:
    run = offline()
    run.log({"x": 1.0})
    report = stepwell.sync(run._journal_dir)
    assert report.live == (Path(run._journal_dir),)
    assert daemon.points() == []
    assert report_text(report, ()).endswith(
        "1 journal of an offline run at work skipped; run this again after its end"
    )


def test_a_live_writer_that_sends_by_itself_is_said_to(start: Start, folder: Path) -> None:
    run = start()
    text = report_text(SyncReport((), (Path(run._journal_dir),), (), 0, 0), ())
    assert text.endswith("will send the rest: the training script, or a daemon")


def test_an_error_while_journals_are_opened_releases_all_of_them(
    offline: Start, daemon: RecordingDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [log_offline(offline, name) for name in ("one", "two")]
    committed = vars(JournalReader)["committed"]

    def read(reader: JournalReader) -> int:
        if reader.info.run_id == "two":
            raise OSError("a test")
        return int(committed.__get__(reader))

    with monkeypatch.context() as patched:
        patched.setattr(JournalReader, "committed", property(read))
        with pytest.raises(OSError, match="a test"):
            stepwell.sync(folders)
    assert stepwell.sync(folders).sent == ("test/one", "test/two")


def test_nobody_on_the_socket_is_an_error_with_the_remedy(offline: Start) -> None:
    folder = log_offline(offline, "one")
    with pytest.raises(DaemonUnreachableError, match="stepwell up"):
        stepwell.sync(folder)
    assert len(find_journals(Path(folder).parent)) == 1


def test_a_path_without_journals_is_an_error_the_default_folder_is_not(folder: Path) -> None:
    with pytest.raises(SyncError, match="no such folder"):
        stepwell.sync(folder / "nowhere")
    assert stepwell.sync().sent == ()


def test_a_refused_journal_is_kept_and_the_others_are_sent(
    offline: Start, daemon: RecordingDaemon, folder: Path
) -> None:
    log_offline(offline, "one")
    log_offline(offline, "two")
    (folder / "journals" / "broken").mkdir()
    (folder / "journals" / "broken" / "writer.json").write_text("{")
    daemon.refuse_next("MALFORMED", "a test")
    report = stepwell.sync(folder / "journals")
    assert report.sent == ("test/two",)
    assert {path.name.split("-")[0] for path, _ in report.failed} == {"one", "broken"}
    assert stepwell.sync(folder / "journals").sent == ("test/one",)


@pytest.mark.parametrize(
    ("name", "tracker"),
    [
        ("offline-run-1/run-1.wandb", "Weights & Biases"),
        ("0/meta.yaml", "MLflow"),
        ("logs/events.out.tfevents.1.host", "TensorBoard"),
        ("notes.txt", ""),
        ("other/meta.yaml", ""),
    ],
)
def test_a_folder_without_a_journal_is_an_error_that_names_the_tracker_of_its_files(
    tmp_path: Path, name: str, tracker: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    is_of_mlflow = tracker == "MLflow"
    path.write_text("experiment_id: '0'\nartifact_location: mlruns/0\n" if is_of_mlflow else "x: 1")
    text = "stepwell cannot read the files of " + tracker if tracker else "name a journal"
    named = [tmp_path, path] if tracker and not is_of_mlflow else [tmp_path]
    for each in named:
        with pytest.raises(SyncError, match=f"^no journal of stepwell in {each}; {text}"):
            stepwell.sync(each)


def test_a_folder_whose_journals_are_all_sent_is_no_error(
    offline: Start, daemon: RecordingDaemon, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_offline(offline, "one")
    journals = folder / "journals"
    monkeypatch.delenv("STEPWELL_DIR")  # So it is not the usual folder.
    assert stepwell.sync(journals).sent == ("test/one",)
    assert stepwell.sync(journals).sent == ()
    empty = folder / "empty"
    empty.mkdir()
    with pytest.raises(SyncError, match="no journal of stepwell"):
        stepwell.sync(empty)
