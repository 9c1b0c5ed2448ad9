"""`stepwell spool` and `stepwell journal` on real spools and journals, whole and damaged."""

import asyncio
import json
from pathlib import Path

import pytest

import stepwell
from stepwell.cli.checks import losses
from stepwell_daemon.errors import AlreadyRunningError
from stepwell_daemon.instance import Instance
from stepwell_daemon.spool.dead_letter import FOLDER, FORMER_FOLDER, list_dead_letters
from stepwell_daemon.spool.inspection import verify_spool
from stepwell_daemon.spool.repairing import repair_spool
from stepwell_daemon.spool.replaying import reason_of, replay
from stepwell_daemon.spool.segment import PAGE_BYTES, Progress, list_segments, segment_path
from stepwell_store import EmbeddedStore
from tests.cli.conftest import Call
from tests.cli.poisoned import POISON, poisoned
from tests.daemon.made import append, new_writer, row, schema_event, spool_running
from tests.fake_daemon import FakeDaemon

FRAMES = 40


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder whose spool holds FRAMES rows of two values, one a frame."""

    async def write() -> None:
        async with spool_running(tmp_path / "spool") as spool:
            state = new_writer(spool)
            append(spool, state, schema_event())
            for step in range(FRAMES):
                append(spool, state, row(step))
                await spool.settled()

    asyncio.run(write())
    return tmp_path


def damage(data: Path, at: int) -> None:
    folder = data / "spool"
    path = segment_path(folder, list_segments(folder)[0])
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)


def test_a_whole_spool_is_verified_and_counted(call: Call, data: Path) -> None:
    outcome = call("spool", "verify", "--data", data, "--json")
    found = json.loads(outcome.out)
    assert (outcome.code, found["whole"], found["points"]) == (0, True, FRAMES * 2)
    assert [(each["writer_id"], each["frames"]) for each in found["writers"]] == [
        ("w1", FRAMES + 1)
    ]
    assert "whole" in call("spool", "verify", "--data", data).out


@pytest.mark.parametrize("action", ["verify", "dump", "repair"])
def test_the_spool_of_the_daemon_that_answers_is_read(
    call: Call, data: Path, place: Path, action: str
) -> None:
    daemon = FakeDaemon(place / "s.sock", data)
    try:
        told = call("spool", action)
        assert f"reading the data of the daemon on {place / 's.sock'}, in {data}" in told.err
        named = call("spool", action, "--data", data)
        assert (told.code, told.out) == (named.code, named.out)
        other = call("spool", action, "--data", place)
        assert other.code == 3
        assert f"no spool in {place}" in other.err
    finally:
        daemon.stop()


@pytest.mark.holds("spool-damage-is-told")
def test_damage_is_named_by_place_and_nothing_is_changed(call: Call, data: Path) -> None:
    damage(data, PAGE_BYTES + 1500)
    before = segment_path(data / "spool", 1).read_bytes()
    outcome = call("spool", "verify", "--data", data, "--json")
    found = json.loads(outcome.out)
    assert outcome.code == 1
    assert not found["whole"]
    place = found["damage"][0]
    assert place["offset"] <= PAGE_BYTES + 1500 < place["end"]
    assert found["frames"] == FRAMES
    assert segment_path(data / "spool", 1).read_bytes() == before


def test_a_dump_says_what_each_record_holds(call: Call, data: Path) -> None:
    outcome = call("spool", "dump", "--data", data, "--rows", "--writer", "w1")
    lines = [json.loads(line) for line in outcome.out.splitlines()]
    rows = [each for line in lines for each in line.get("rows", [])]
    assert [each["step"] for each in rows] == list(range(FRAMES))
    assert rows[0]["values"] == {"loss": 0.5, "accuracy": 0.25}
    assert len(call("spool", "dump", "--data", data, "--limit", "3").out.splitlines()) == 3
    assert call("spool", "dump", "--data", data, "--run", "nobody").out == ""


def test_repair_asks_first_then_quarantines_what_is_damaged(call: Call, data: Path) -> None:
    damage(data, PAGE_BYTES + 1500)
    asked = call("spool", "repair", "--data", data)
    assert "--yes" in asked.err
    assert not (data / "spool" / "quarantine").exists()
    done = call("spool", "repair", "--data", data, "--yes")
    assert done.code == 0, done.err
    assert "repaired" in done.out
    assert list((data / "spool" / "quarantine").glob("*.bytes"))
    again = call("spool", "verify", "--data", data)
    assert again.code == 0, "a repair leaves nothing to repair"
    assert "of them still in segments: 1 damaged place" in again.out
    assert call("spool", "repair", "--data", data, "--yes").out == "nothing to repair\n"


def test_what_no_repair_brings_back_is_said_so(call: Call, data: Path) -> None:
    asyncio.run(second_segment(data))
    segment_path(data / "spool", 1).unlink()
    outcome = call("spool", "verify", "--data", data)
    assert outcome.code == 1
    assert "0000000000000001.seg: missing\n" in outcome.out
    assert "that no repair can restore" in outcome.out
    asked = call("spool", "repair", "--data", data)
    assert (asked.code, asked.err) == (0, "")
    assert asked.out.endswith("nothing to repair\n")
    for _ in range(2):
        repaired = call("spool", "repair", "--data", data, "--yes").out
        assert repaired.count("0000000000000001.seg: missing") == 1
    assert repaired.endswith("nothing to repair\n")


@pytest.mark.holds("damaged-spool-file")
def test_a_lost_segment_stays_noted_when_nothing_misses_it_any_more(
    call: Call, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = data / "spool"

    async def store_all() -> None:
        async with spool_running(folder) as spool:
            await spool.save_progress(Progress(spool.end))

    segment_path(folder, 1).unlink()
    asyncio.run(second_segment(data))
    (logged,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert f"{segment_path(folder, 1)}: missing" in logged.getMessage()
    asyncio.run(store_all())
    verified = call("spool", "verify", "--data", data)
    assert (verified.code, "\nwhole\n" in verified.out) == (0, True)
    assert f"UTC: {segment_path(folder, 1)}: missing; its unforwarded records" in verified.out
    (found,) = losses.kept(data)
    assert "1 loss of segments, noted in" in found.message


def test_a_spool_without_its_number_is_read_all_the_same(call: Call, data: Path) -> None:
    before = json.loads(call("spool", "verify", "--data", data, "--json").out)
    (data / "spool" / "spool.id").unlink()
    found = json.loads(call("spool", "verify", "--data", data, "--json").out)
    assert (found["spool"], found["frames"]) == (before["spool"], before["frames"])
    (damage,) = found["damage"]
    assert damage["file"].endswith("spool.id")
    assert (
        damage["what"]
        == "missing or damaged; a daemon that starts reads the spool's number from the segments"
    )
    assert call("spool", "dump", "--data", data, "--limit", "1").out
    assert call("spool", "repair", "--data", data, "--yes").out.endswith("repaired\n")
    assert call("spool", "verify", "--data", data).code == 0


def test_a_cursor_that_is_gone_is_told(call: Call, data: Path) -> None:
    (data / "spool" / "cursor").unlink()
    outcome = call("spool", "verify", "--data", data)
    assert outcome.code == 1
    assert (
        f"{data / 'spool' / 'cursor'}: missing; a daemon that starts sends everything again"
        in outcome.out
    )
    assert call("spool", "repair", "--data", data, "--yes").code == 0
    assert call("spool", "verify", "--data", data).code == 0


async def second_segment(data: Path) -> None:
    async with spool_running(data / "spool") as spool:
        append(spool, new_writer(spool, "w2"), schema_event() + row(0))
        await spool.settled()


def test_repair_leaves_a_running_daemon_alone(data: Path, place: Path) -> None:
    with Instance(data, place / "s.sock"), pytest.raises(AlreadyRunningError, match="stop it"):
        repair_spool(data / "spool")
    repair_spool(data / "spool")
    assert not repair_spool(data / "spool").is_changed
    assert verify_spool(data / "spool").is_whole


def test_no_spool_is_an_error_with_a_remedy(call: Call, tmp_path: Path) -> None:
    outcome = call("spool", "verify", "--data", tmp_path / "nowhere")
    assert outcome.code == 3
    assert "--data" in outcome.err


# ---------------------------------------------------------------------------- replay


@pytest.mark.holds("refused-rows-are-kept", "refused-rows")
def test_replaying_stores_only_what_was_refused_and_only_once(tmp_path: Path) -> None:
    sink = poisoned(tmp_path)
    (path,) = list_dead_letters(tmp_path)
    assert "does not like it" in reason_of(path)
    sink.rejects = lambda block: False
    tables = sorted(block.table for block in sink.blocks)
    content = path.read_bytes()
    assert replay(path, sink) == 2
    assert sink.steps().count(POISON) == 2
    assert sorted(block.table for block in sink.blocks) == sorted([*tables, "points", "gaps"])
    assert list_dead_letters(tmp_path) == []
    path.write_bytes(content)  # As if the move had been lost.
    replay(path, sink)
    assert sink.steps().count(POISON) == 2


def test_dead_letters_of_release_0_1_are_replayed(tmp_path: Path) -> None:
    sink = poisoned(tmp_path)
    (tmp_path / FOLDER).rename(tmp_path / FORMER_FOLDER)
    (path,) = list_dead_letters(tmp_path)
    sink.rejects = lambda block: False
    assert replay(path, sink) == 2
    assert list_dead_letters(tmp_path) == []
    told, filled = sink.columns("gaps")
    assert (list(told["kind"]), list(filled["kind"])) == (["dead_letter"], ["replayed"])
    # By the file's name the store knows which gap is filled.
    assert list(told["file"]) == list(filled["file"]) == [path.name]


def test_replay_on_the_command_line(
    call: Call, store: EmbeddedStore, spool_folder: Path, tmp_path: Path
) -> None:
    poisoned(spool_folder)
    assert "does not like it" in call("spool", "replay", "--list").out
    assert call("spool", "replay").code == 2
    assert call("spool", "replay", tmp_path / "none.seg").code == 4
    done = call("spool", "replay", "--all")
    assert (done.code, done.err) == (0, "")
    (found,) = store.query(f"SELECT count() AS n FROM points WHERE step = {POISON}")
    assert int(found["n"]) == 2
    assert call("spool", "replay", "--list").out == ""


def test_what_a_gateway_refused_is_not_replayed_into_a_store_of_the_node(
    call: Call, tmp_path: Path
) -> None:
    poisoned(tmp_path / "spool")
    config = tmp_path / "daemon.toml"
    config.write_text('sink = "gateway"\ngateway_address = "127.0.0.1:1"\n')
    told = call("spool", "replay", "--all", "--data", tmp_path, "--config", config)
    assert told.code == 2
    assert "127.0.0.1:1" in told.err
    assert str(tmp_path / "spool" / "dead_letter") in told.err
    assert len(list_dead_letters(tmp_path / "spool")) == 1


# ---------------------------------------------------------------------------- journals


@pytest.fixture
def journal(call: Call) -> Path:
    """A journal that an offline run left."""
    run = stepwell.init(project="tools", mode="offline", settings={"console": False})
    for step in range(10):
        run.log({"loss": 1.0 / (step + 1), "lr": 0.1}, step=step)
    run.finish()
    outcome = call("journal", "verify", "--json")
    (found,) = json.loads(outcome.out)["journals"]
    assert outcome.code == 0
    assert (found["whole"], found["rows"], found["points"]) == (True, 10, 20)
    assert not found["in_use"]
    return Path(found["path"])


def test_a_journal_is_dumped_row_by_row(call: Call, journal: Path) -> None:
    lines = [json.loads(line) for line in call("journal", "dump", journal).out.splitlines()]
    assert [line["step"] for line in lines if "values" in line] == list(range(10))
    assert {"start", "finish"} <= {line.get("event") for line in lines}
    assert len(call("journal", "dump", journal, "--limit", "2").out.splitlines()) == 2


def test_a_damaged_journal_is_named(call: Call, journal: Path) -> None:
    segment = next(journal.glob("*.seg"))
    content = bytearray(segment.read_bytes())
    content[PAGE_BYTES : PAGE_BYTES + 4] = b"\xff\xff\xff\x7f"
    segment.write_bytes(content)
    outcome = call("journal", "verify", journal)
    assert outcome.code == 1
    assert "damaged" in outcome.out


def test_a_folder_without_journals_is_told(call: Call, tmp_path: Path) -> None:
    outcome = call("journal", "verify", tmp_path)
    assert (outcome.code, outcome.out) == (4, "")
    assert f"no journal of stepwell in {tmp_path}" in outcome.err
    assert call("journal", "verify", tmp_path / "nowhere").code == 3
