"""Damaged journals: what can be read is delivered, at the positions that it had."""

import os
import random
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stepwell_wire.errors import JournalError, MalformedRecordsError
from stepwell_wire.journal import JournalReader
from stepwell_wire.journal_files import boot_id
from stepwell_wire.records import GAP, SCHEMA, pack_event
from stepwell_wire.repair import KEPT_FOLDER, Repair, plan_repair
from stepwell_wire.rows import decode_records
from stepwell_wire.salvage import padding
from stepwell_wire.segment import (
    ACKED_AT,
    COMMITTED_AT,
    NEXT_AT,
    PAGE_BYTES,
    pack_page,
    segment_name,
)
from tests.daemon.journals import hold_lock, make_journal, seal
from tests.daemon.made import row, schema_event

pytestmark = pytest.mark.holds("flipped-bit")

STEPS = range(40)
RECORDS = [schema_event(), *(row(step) for step in STEPS)]
WHOLE = b"".join(RECORDS)
SECOND = schema_event() + b"".join(row(step) for step in range(40, 60))


def add_segment(folder: Path, base: int, records: bytes) -> Path:
    page = bytearray(pack_page(base))
    page[COMMITTED_AT : COMMITTED_AT + 8] = (PAGE_BYTES + len(records)).to_bytes(8, "little")
    path = folder / segment_name(base)
    path.write_bytes(bytes(page) + records + bytes(4096))
    return path


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Two segments of a dead writer."""
    folder = make_journal(tmp_path, "w", WHOLE)
    add_segment(folder, len(WHOLE), SECOND)
    return folder


def damage(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(PAGE_BYTES + offset)
        file.write(data)


def damage_page(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(bytes(PAGE_BYTES) + data[PAGE_BYTES:])


def told(journal: Path, had: int = 0) -> str:
    with closing(JournalReader(journal)) as reader:
        return reader.damage(had)


def first_segment(journal: Path) -> Path:
    return journal / segment_name(0)


def delivered(journal: Path) -> tuple[list[int], list[str], int]:
    """Return steps and reasons of gaps as a reader takes them, and where the journal ends."""
    with closing(JournalReader(journal)) as reader:
        steps, gaps, position = _read_all(reader)
    return steps, [str(gap["reason"]) for gap in gaps], position


def _read_all(reader: JournalReader) -> tuple[list[int], list[dict[str, Any]], int]:
    schemas: dict[int, tuple[str, ...]] = {}
    steps: list[int] = []
    gaps: list[dict[str, Any]] = []
    position = reader.oldest
    while records := reader.read(position, 1 << 20):
        decoded, defined = decode_records(records, schemas)
        schemas |= defined
        steps += [int(step) for rows in decoded.rows for step in rows.steps]
        gaps += [event.body for event in decoded.events if event.kind == GAP]
        position += len(records)
    assert position == reader.committed
    return steps, gaps, position


def repair(journal: Path, *, unverified: bool = False) -> Repair:
    planned = plan_repair(journal, unverified=unverified)
    kept = planned.apply()
    assert (kept is not None) == planned.is_needed
    assert not plan_repair(journal, unverified=unverified).is_needed, "once is enough"
    return planned


def test_a_whole_journal_needs_nothing_and_is_left_alone(journal: Path) -> None:
    before = {path: path.read_bytes() for path in journal.iterdir()}
    assert not repair(journal).damage
    assert {path: path.read_bytes() for path in journal.iterdir()} == before
    assert not (journal.parent / KEPT_FOLDER).exists()


def test_damaged_records_are_bridged_by_a_gap_and_the_rest_keeps_its_positions(
    journal: Path,
) -> None:
    place = sum(map(len, RECORDS[:11]))
    damage(first_segment(journal), place, b"\xff" * len(RECORDS[11]) * 5)
    was = first_segment(journal).read_bytes()
    with pytest.raises(MalformedRecordsError):
        delivered(journal)
    planned = repair(journal)
    assert [(each.position, each.size) for each in planned.damage] == [
        (place, len(RECORDS[11]) * 5)
    ]
    steps, gaps, end = delivered(journal)
    assert steps == [step for step in range(60) if not 10 <= step < 15]
    assert gaps == [f"journal damaged, {len(RECORDS[11]) * 5} bytes"]
    assert end > len(WHOLE) + 20 * len(row(0)), "the gap is told behind everything else"
    (kept,) = (journal.parent / KEPT_FOLDER).iterdir()
    assert (kept / segment_name(0)).read_bytes() == was


def test_any_flipped_byte_of_a_header_costs_little_and_moves_nothing(tmp_path: Path) -> None:
    """Eight bytes of each header say what a record is; the values nobody can check."""
    chance = random.Random(3)
    for number, which in enumerate(range(1, len(RECORDS))):
        journal = make_journal(tmp_path, f"w{number}", WHOLE)
        place = sum(map(len, RECORDS[:which])) + chance.randrange(8)
        damage(first_segment(journal), place, bytes([WHOLE[place] ^ 1 << chance.randrange(8)]))
        repair(journal)
        steps, _, end = delivered(journal)
        assert end >= len(WHOLE)
        assert set(STEPS) - set(steps) <= {which - 1, which, which - 2}
        assert steps == sorted(set(steps))


@pytest.mark.slow
def test_any_damage_leaves_a_journal_that_reads_to_its_end(tmp_path: Path) -> None:
    chance = random.Random(4)
    for number in range(150):
        journal = make_journal(tmp_path, f"w{number}", WHOLE)
        start = chance.randrange(0, len(WHOLE), 8)
        size = chance.choice((8, 16, 24, 120, 400))
        garbage = chance.choice((bytes(size), b"\xff" * size, chance.randbytes(size), WHOLE[:size]))
        damage(first_segment(journal), start, garbage[: len(WHOLE) - start])
        repair(journal)
        steps, _, _ = delivered(journal)
        width = len(row(0))
        hit = range(
            (start - len(RECORDS[0])) // width - 1, (start + size - len(RECORDS[0])) // width + 2
        )
        assert set(STEPS) - set(steps) <= set(hit) or start < len(RECORDS[0]), (start, size)


@pytest.mark.holds("missing-journal-segment")
def test_a_missing_segment_is_bridged(journal: Path) -> None:
    length = len(WHOLE) + len(SECOND)
    size = len(row(0)) * 7
    add_segment(journal, length + size, b"".join(row(step) for step in range(67, 70)))
    assert delivered(journal)[0] == list(range(60))
    planned = repair(journal)
    assert [(each.position, each.size) for each in planned.damage] == [(length, size)]
    steps, gaps, _ = delivered(journal)
    assert steps == [*range(60), *range(67, 70)]
    assert len(gaps) == 1


def set_word(path: Path, place: int, value: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(value.to_bytes(8, "little"))


@pytest.mark.parametrize("steps_said", [3, 39, 41])
def test_a_segment_ends_where_the_next_begins_whatever_its_page_says(
    journal: Path, steps_said: int
) -> None:
    end = PAGE_BYTES + len(RECORDS[0]) + steps_said * len(row(0))
    set_word(first_segment(journal), COMMITTED_AT, end)
    assert delivered(journal)[0] == list(range(60))
    assert not repair(journal).damage


def test_a_last_page_that_says_too_little_costs_nothing_where_the_writer_had_ended(
    tmp_path: Path,
) -> None:
    journal = make_journal(tmp_path, "w", WHOLE)
    page = first_segment(journal)
    os.truncate(page, PAGE_BYTES + len(WHOLE))
    seal(page, len(WHOLE))
    set_word(page, COMMITTED_AT, PAGE_BYTES + len(RECORDS[0]))
    assert not told(journal)
    assert delivered(journal)[0] == list(STEPS)
    assert not repair(journal).damage


def test_what_changed_after_it_was_acknowledged_is_nobodys_business(journal: Path) -> None:
    seal(first_segment(journal), len(WHOLE))
    damage(first_segment(journal), len(WHOLE) - 8, b"\1")
    set_word(journal / segment_name(len(WHOLE)), ACKED_AT, len(WHOLE))
    assert not told(journal)
    assert not repair(journal).is_needed


@pytest.mark.holds("journal-damage-is-told", "missing-journal-segment")
def test_a_first_segment_that_is_gone_is_missed_and_told(journal: Path) -> None:
    first_segment(journal).unlink()
    with closing(JournalReader(journal)) as reader:
        assert f"{len(WHOLE)} unacknowledged bytes" in reader.damage()
    planned = repair(journal)
    assert [(each.position, each.size) for each in planned.damage] == [(0, len(WHOLE))]
    steps, gaps, _ = delivered(journal)
    assert (steps, gaps) == (list(range(40, 60)), [f"journal damaged, {len(WHOLE)} bytes"])
    with closing(JournalReader(journal)) as reader:
        assert not reader.damage()


def test_a_first_segment_that_was_acknowledged_is_not_missed(journal: Path) -> None:
    set_word(journal / segment_name(len(WHOLE)), ACKED_AT, len(WHOLE))
    first_segment(journal).unlink()
    with closing(JournalReader(journal)) as reader:
        assert not reader.damage()
    assert not repair(journal).damage


def test_after_a_restart_nobody_knows_whether_a_first_segment_is_missing(tmp_path: Path) -> None:
    journal = make_journal(tmp_path, "w", WHOLE, base=800, boot_id="another start")
    with closing(JournalReader(journal)) as reader:
        assert not reader.damage()


@pytest.mark.holds("flipped-bit")
def test_a_value_that_changed_is_told_and_taken_only_by_a_repair_that_says_so(
    journal: Path,
) -> None:
    path = first_segment(journal)
    early, size = len(RECORDS[0]) + 10 * len(row(0)), len(row(0))
    seal(path, early)
    seal(path, len(WHOLE), turn=1)
    assert not told(journal)
    at = len(WHOLE) - 8  # The value of the last row.
    damage(path, at, b"\1")
    where = f"{PAGE_BYTES + early} to {PAGE_BYTES + len(WHOLE)} do not match their checksum"
    assert where in told(journal)
    assert not told(journal, len(WHOLE)), "what a daemon has is nobody's business any more"
    planned = repair(journal)
    (doubt,) = planned.damage
    assert (doubt.position, doubt.size) == (early, len(WHOLE) - early)
    steps, gaps, _ = delivered(journal)
    assert steps == list(range(60))
    reason = f"{30 * size} bytes of the journal kept without a valid checksum"
    assert gaps == [reason]
    with closing(JournalReader(journal)) as reader:
        assert not reader.damage()
        (gap,) = _read_all(reader)[1]
    assert (gap["first_step"], gap["last_step"]) == (9, 39)


@pytest.mark.parametrize("hit", ["page", "end too far", "end too near"])
def test_a_damaged_last_page_costs_what_no_checksum_covers_and_is_told(
    journal: Path, hit: str
) -> None:
    last = journal / segment_name(len(WHOLE))
    seal(last, len(SECOND) - 5 * len(row(0)))
    if hit == "page":
        damage_page(last)
    else:
        set_word(last, COMMITTED_AT, 1 << 40 if hit == "end too far" else PAGE_BYTES + 64)
    assert "page" in told(journal)
    lost = repair(journal).damage[-1]
    assert lost.what.startswith("lost at most")
    steps, gaps, end = delivered(journal)
    assert steps == list(range(40 if hit == "page" else 55))
    assert gaps == [f"journal damaged, up to {lost.size} bytes"]
    assert end > len(WHOLE) + len(SECOND), "a daemon that had part of it takes the gap"


def test_of_a_segment_with_several_damages_both_ends_are_delivered(journal: Path) -> None:
    path, size = first_segment(journal), len(row(0))
    for step in (10, 20, 25):
        damage(path, len(RECORDS[0]) + step * size, b"\xff" * 24)
    (lost,) = repair(journal).damage
    assert (lost.position, lost.size) == (len(RECORDS[0]) + 10 * size, 16 * size)
    steps, gaps, _ = delivered(journal)
    assert steps == [*range(10), *range(26, 60)]
    assert gaps == [f"journal damaged, {16 * size} bytes"]


@pytest.mark.holds("journal-damage-is-told", "flipped-bit")
@pytest.mark.slow
def test_any_changed_byte_that_a_checksum_covers_is_told(tmp_path: Path) -> None:
    journal = make_journal(tmp_path, "w", WHOLE)
    path = first_segment(journal)
    seal(path, len(WHOLE))
    assert not told(journal)
    whole = path.read_bytes()
    for offset in range(len(WHOLE)):
        damage(path, offset, bytes([whole[PAGE_BYTES + offset] ^ 1 << offset % 8]))
        assert "do not match their checksum" in told(journal), offset
        path.write_bytes(whole)


def test_a_first_page_that_is_gone_is_told(journal: Path) -> None:
    for path in (first_segment(journal), journal / segment_name(len(WHOLE))):
        whole = path.read_bytes()
        path.write_bytes(bytes(PAGE_BYTES) + whole[PAGE_BYTES:])
        assert f"{path}: invalid first page" in told(journal)
        path.write_bytes(whole)


@pytest.mark.holds("journal-damage-is-told", "missing-journal-segment")
@pytest.mark.parametrize("is_cut", [True, False])
def test_a_last_segment_that_is_gone_is_missed_and_told(journal: Path, is_cut: bool) -> None:
    last = journal / segment_name(len(WHOLE))
    set_word(first_segment(journal), NEXT_AT, len(WHOLE))
    assert not told(journal)
    if is_cut:
        os.truncate(last, 0)
        assert f"{last}: invalid first page" in told(journal)
    else:
        last.unlink()
        assert f"segment {last.name}, after " in told(journal)
    (lost,) = repair(journal).damage
    assert (lost.position, lost.what[:12]) == (len(WHOLE), "lost at most")
    steps, (gap,), end = delivered(journal)
    assert (steps, gap[:22]) == (list(STEPS), "journal damaged, up to")
    assert end > len(WHOLE) + len(SECOND), "a daemon that had part of it takes the gap"
    assert not told(journal)


@pytest.mark.holds("missing-journal-segment")
def test_the_only_segment_that_is_gone_is_missed(tmp_path: Path) -> None:
    journal = make_journal(tmp_path, "w", WHOLE)
    os.truncate(first_segment(journal), 0)
    assert "invalid first page" in told(journal)
    first_segment(journal).unlink()
    assert "no segments: the journal contains no data" in told(journal)
    with pytest.raises(JournalError, match="no data to repair; remove the folder"):
        plan_repair(journal)


def test_a_next_word_that_cannot_be_is_not_believed(journal: Path) -> None:
    last = journal / segment_name(len(WHOLE))
    for wrong in (1, len(WHOLE), len(WHOLE) + len(SECOND) - 8, 2**64 - 1):
        set_word(last, NEXT_AT, wrong)
        assert not told(journal)
        assert not plan_repair(journal).is_needed


@pytest.mark.holds("missing-journal-segment")
def test_a_segment_that_is_gone_from_the_middle_is_told_and_kept(journal: Path) -> None:
    third = len(WHOLE) + len(SECOND)
    add_segment(journal, third, schema_event() + row(60))
    (journal / segment_name(len(WHOLE))).unlink()
    assert "or one of the two was changed" in told(journal)
    (lost,) = repair(journal).damage
    assert (lost.position, lost.size) == (len(WHOLE), len(SECOND))
    assert delivered(journal)[:2] == (
        [*STEPS, 60],
        [f"journal damaged, {len(SECOND)} bytes"],
    )


@pytest.mark.parametrize("number", [-11, 1 << 32, (1 << 64) - 1, 2.5, "x", None])
def test_a_definition_of_a_number_that_cannot_be_defines_nothing(
    tmp_path: Path, number: object
) -> None:
    broken = pack_event(SCHEMA, {"id": number, "keys": ["a"]}, step=0, time_us=1)
    journal = make_journal(tmp_path, "w", broken + bytes(64) + WHOLE)
    repair(journal)
    assert delivered(journal)[0] == list(STEPS)


@pytest.mark.holds("missing-journal-segment")
def test_a_last_segment_cut_between_two_records_is_missed_and_told(journal: Path) -> None:
    last = journal / segment_name(len(WHOLE))
    os.truncate(last, PAGE_BYTES + len(SECOND) - 5 * len(row(0)))
    with closing(JournalReader(journal)) as reader:
        assert "truncated the file" in reader.damage()
    repair(journal)
    steps, gaps, _ = delivered(journal)
    assert steps == list(range(55))
    assert gaps == [f"journal damaged, {5 * len(row(0))} bytes"]
    with closing(JournalReader(journal)) as reader:
        assert not reader.damage()


def test_a_cut_behind_what_was_acknowledged_keeps_every_position(journal: Path) -> None:
    last = journal / segment_name(len(WHOLE))
    limit, size = len(WHOLE) + len(SECOND), len(row(0))
    set_word(last, ACKED_AT, limit - 5 * size)
    os.truncate(last, PAGE_BYTES + len(SECOND) - 15 * size)
    repair(journal)
    steps, gaps, end = delivered(journal)
    assert steps == list(range(45))
    assert gaps == [f"journal damaged, {5 * size} bytes"]
    with closing(JournalReader(journal)) as reader:
        assert reader.acked == limit - 5 * size
        assert decode_records(reader.read(limit, 1 << 20), {})[0].events[0].kind == GAP
    assert end > limit


def test_a_given_up_segment_at_the_front_hides_nothing(journal: Path) -> None:
    """Its writer wrote on before it, and what it wrote was acknowledged and freed."""
    first_segment(journal).unlink()
    orphan = len(WHOLE) - len(row(0))
    (journal / segment_name(orphan)).write_bytes(pack_page(orphan) + bytes(4096))
    set_word(journal / segment_name(len(WHOLE)), ACKED_AT, len(WHOLE))
    assert delivered(journal)[0] == list(range(40, 60))
    assert not repair(journal).damage


@pytest.mark.parametrize("size", [24, 32, 40, 4096, 65536, 65544, 65560, 200_000])
def test_padding_can_be_read_from_wherever_a_record_ended(size: int) -> None:
    made = padding(size)
    assert len(made) == size
    for start in {0, 8, 16, 24, 4000, size // 16 * 8, size - 32, size - 24}:
        if 0 <= start <= size - 24:
            decoded, _ = decode_records(made[start:] + row(7), {1: ("loss", "accuracy")})
            assert [rows.steps.tolist() for rows in decoded.rows] == [[7]]


def test_a_daemon_goes_on_within_what_was_padded(tmp_path: Path) -> None:
    journal = make_journal(tmp_path, "w", WHOLE)
    size = len(row(0))
    damage(first_segment(journal), len(WHOLE) - 9 * size, b"\xff" * 6 * size)
    repair(journal)
    with closing(JournalReader(journal)) as reader:
        for had in range(9, 2, -1):
            records = reader.read(len(WHOLE) - had * size, 1 << 20)
            decoded, _ = decode_records(records, {1: ("loss", "accuracy")})
            assert [int(step) for each in decoded.rows for step in each.steps] == [37, 38, 39]


def test_what_was_acknowledged_before_it_was_damaged_is_no_gap(journal: Path) -> None:
    set_word(journal / segment_name(len(WHOLE)), ACKED_AT, len(WHOLE))
    damage(first_segment(journal), len(WHOLE) - 3 * len(row(0)), b"\xff" * 3 * len(row(0)))
    assert repair(journal).damage
    steps, gaps, _ = delivered(journal)
    assert (steps, gaps) == ([*range(37), *range(40, 60)], [])


def test_damage_over_the_edge_of_a_segment_is_one_gap(journal: Path) -> None:
    size = len(row(0))
    damage(first_segment(journal), len(WHOLE) - 2 * size, b"\xff" * 2 * size)
    damage(journal / segment_name(len(WHOLE)), 0, b"\xff" * (len(RECORDS[0]) + 3 * size))
    repair(journal)
    with closing(JournalReader(journal)) as reader:
        (gap,) = _read_all(reader)[1]
    assert gap["reason"] == f"journal damaged, {5 * size + len(RECORDS[0])} bytes"
    assert (gap["first_step"], gap["last_step"]) == (37, 43)


def test_a_segment_that_its_writer_gave_up_cuts_nothing(tmp_path: Path) -> None:
    """A signal handler that logs may come between the making of a segment and its use."""
    journal = make_journal(tmp_path, "w", WHOLE)
    (journal / segment_name(len(RECORDS[0]))).write_bytes(pack_page(len(RECORDS[0])) + bytes(4096))
    assert delivered(journal)[0] == list(STEPS)
    assert not repair(journal).damage
    damage(first_segment(journal), len(WHOLE) - len(row(0)), b"\xff" * len(row(0)))
    repair(journal)
    assert delivered(journal)[0] == list(STEPS)[:-1]


def test_a_damaged_page_costs_nothing(journal: Path) -> None:
    with first_segment(journal).open("r+b") as file:
        file.write(b"\xff" * 64)
    repair(journal)
    assert delivered(journal)[0] == list(range(60))


def test_a_file_of_another_journal_is_not_bridged(journal: Path) -> None:
    add_segment(journal, 1 << 50, row(1))
    with pytest.raises(JournalError, match="if that file belongs to another journal, move it away"):
        plan_repair(journal)


def test_after_a_restart_what_is_in_doubt_is_taken_only_when_asked_for(tmp_path: Path) -> None:
    journal = make_journal(tmp_path, "w", WHOLE, boot_id="another start")
    damage(first_segment(journal), len(WHOLE) - 3 * len(row(0)), bytes(len(row(0))))
    planned = repair(journal)
    assert planned.unverified_bytes == len(WHOLE)
    assert delivered(journal)[0] == []
    repair(journal, unverified=True)
    steps, gaps, _ = delivered(journal)
    assert steps == [step for step in STEPS if step != 37]
    assert gaps == [
        f"journal damaged, {len(row(0))} bytes",
        f"{len(WHOLE)} bytes of the journal kept without a valid checksum",
    ]


def test_what_was_quarantined_when_a_journal_was_delivered_can_be_asked_for(tmp_path: Path) -> None:
    journal = make_journal(tmp_path, "w", WHOLE, boot_id="another start")
    reader = JournalReader(journal)
    reader.remove()
    assert sorted(path.suffix for path in journal.iterdir()) == [".unverified", ".unverified"]
    with pytest.raises(JournalError, match=r"no writer.json"):
        plan_repair(journal)
    repair(journal, unverified=True)
    assert delivered(journal)[0] == list(STEPS)


def test_a_writer_that_runs_is_left_alone(journal: Path) -> None:
    lock = hold_lock(journal)
    with pytest.raises(JournalError, match="in use"):
        plan_repair(journal)
    os.close(lock)


def test_a_journal_that_was_delivered_meanwhile_does_not_come_back(journal: Path) -> None:
    damage(first_segment(journal), 0, b"\xff" * 64)
    planned = plan_repair(journal)
    first_segment(journal).unlink()
    with pytest.raises(JournalError, match="delivered in the meantime"):
        planned.apply()


def test_whose_it_is_can_be_said(journal: Path) -> None:
    whole = JournalReader(journal).info
    (journal / "writer.json").write_text("{")
    with pytest.raises(JournalError, match="give --project, --run and --unverified"):
        plan_repair(journal)
    plan_repair(journal, info=whole._replace(boot_id=boot_id())).apply()
    assert delivered(journal)[0] == list(range(60))
    assert JournalReader(journal).info == whole


def test_no_link_is_followed_where_something_is_written(journal: Path, tmp_path: Path) -> None:
    damage(first_segment(journal), 0, b"\xff" * 64)
    other = tmp_path / "other"
    other.write_text("somebody else's")
    (journal / f".{segment_name(0)}.tmp").symlink_to(other)
    plan_repair(journal).apply()
    assert other.read_text() == "somebody else's"
    assert not first_segment(journal).is_symlink()


def test_a_link_in_the_place_of_what_is_kept_is_refused(journal: Path, tmp_path: Path) -> None:
    damage(first_segment(journal), 0, b"\xff" * 64)
    was = first_segment(journal).read_bytes()
    (tmp_path / "elsewhere").mkdir()
    (journal.parent / KEPT_FOLDER).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(JournalError, match="a symbolic link, expected a folder"):
        plan_repair(journal).apply()
    assert first_segment(journal).read_bytes() == was
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_mends_stays_its_owners(journal: Path) -> None:
    for path in [journal, *journal.iterdir()]:
        os.chown(path, 12345, 12345)
    first_segment(journal).chmod(0o640)
    (journal / "lock").chmod(0o640)
    damage(first_segment(journal), 0, b"\xff" * 64)
    plan_repair(journal).apply()
    found = first_segment(journal).stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (12345, 12345, 0o640)
