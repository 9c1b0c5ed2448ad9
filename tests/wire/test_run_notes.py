"""Notes of deleted runs: what other users may have put into the folders is not followed."""

import json
import os
from pathlib import Path

import pytest

from stepwell_wire.run_notes import (
    forget_runs,
    note_recovered_step,
    notes_folder,
    removed_us,
    run_note,
    step_note,
)

SECOND = 1_000_000


def make_notes(journals: Path, project: str = "p", run_id: str = "r") -> tuple[Path, Path]:
    notes_folder(journals, project).mkdir(parents=True)
    found = run_note(journals, project, run_id), step_note(journals, project, run_id)
    found[0].write_text("{}")
    found[1].write_bytes((7).to_bytes(8, "little"))
    return found


def make_journal(journals: Path, name: str, **facts: object) -> Path:
    folder = journals / name
    folder.mkdir()
    text = json.dumps({"project": "p", "run_id": "r", "created_at": 10 * SECOND, **facts})
    (folder / "writer.json").write_text(text)
    return folder


def step_in(note: Path) -> int:
    return int.from_bytes(note.read_bytes(), "little")


def test_a_deletion_is_noted_as_long_as_a_journal_of_the_run_is_there(tmp_path: Path) -> None:
    notes = make_notes(tmp_path)
    make_journal(tmp_path, "r-2-w", run_id="r-2")
    make_journal(tmp_path, "r-w", project="other")
    forget_runs([tmp_path], "p", ["r"], removed_at=20)
    assert not any(note.exists() for note in notes)
    assert removed_us(tmp_path, "p", "r") == -1
    make_journal(tmp_path, "r-w2")
    forget_runs([tmp_path], "p", ["r"], removed_at=20)
    assert removed_us(tmp_path, "p", "r") == 20 * SECOND
    assert removed_us(tmp_path, "p", "r-2") == -1


def test_a_run_that_began_after_the_deletion_keeps_its_notes(tmp_path: Path) -> None:
    notes = make_notes(tmp_path)
    make_journal(tmp_path, "r-w")
    forget_runs([tmp_path], "p", ["r"], removed_at=9)
    assert all(note.exists() for note in notes)


@pytest.mark.parametrize("content", [b"\xff", b"", b"[]", b"1" * 100, b"{}"])
def test_what_is_no_note_is_none(tmp_path: Path, content: bytes) -> None:
    _, step = make_notes(tmp_path)
    (notes_folder(tmp_path, "p") / "r.removed").write_bytes(content)
    (make_journal(tmp_path, "r-w") / "writer.json").write_bytes(content)
    assert removed_us(tmp_path, "p", "r") == (int("1" * 32) if len(content) == 100 else -1)
    forget_runs([tmp_path], "p", ["r"], removed_at=9)
    assert not step.exists()


def test_pipes_and_links_in_their_places_are_left_alone(tmp_path: Path) -> None:
    _, step = make_notes(tmp_path)
    os.mkfifo(notes_folder(tmp_path, "p") / "r.removed")
    (tmp_path / "r-w").mkdir()
    os.mkfifo(tmp_path / "r-w" / "writer.json")
    (tmp_path / "r-link").symlink_to(make_journal(tmp_path, "elsewhere"))
    assert removed_us(tmp_path, "p", "r") == -1
    note_recovered_step(tmp_path, "p", "r", 9, began_us=1)
    assert step_in(step) == 9
    forget_runs([tmp_path], "p", ["r"], removed_at=20)
    assert not step.exists()


@pytest.mark.parametrize("project", ["../../victim/p", "linked"])
def test_no_note_elsewhere_is_changed(tmp_path: Path, project: str) -> None:
    victim, journals = tmp_path / "victim", tmp_path / "a" / ".journals"
    victims = make_notes(victim)
    (victim / "p").mkdir()
    step_note(victim, "p", "r").rename(victim / "p" / "r.step")
    (journals / ".runs").mkdir(parents=True)
    (journals / ".runs" / "linked").symlink_to(victim / "p")
    note_recovered_step(journals, project, "r", 50, began_us=1)
    note_recovered_step(journals, "p", "../linked/r", 50, began_us=1)
    forget_runs([journals], project, ["r"], removed_at=20)
    assert step_in(victim / "p" / "r.step") == 7
    assert victims[0].exists()


def test_another_users_file_in_a_folder_of_notes_is_not_changed(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give files away")
    _, step = make_notes(tmp_path)
    os.chown(step, 65_534, 65_534)
    note_recovered_step(tmp_path, "p", "r", 50, began_us=1)
    assert step_in(step) == 7


def test_the_note_of_a_deletion_belongs_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root works for other users")
    make_notes(tmp_path)
    make_journal(tmp_path, "r-w")
    os.chown(notes_folder(tmp_path, "p"), 65_534, 65_534)
    forget_runs([tmp_path], "p", ["r"], removed_at=20)
    found = (notes_folder(tmp_path, "p") / "r.removed").stat()
    assert (found.st_uid, found.st_mode & 0o777) == (65_534, 0o600)
    assert removed_us(tmp_path, "p", "r") == 20 * SECOND


def test_a_file_system_with_one_owner_of_all_files_has_one_folder_of_notes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As mounts of some containers and of sshfs: a new file is not the process's user's."""
    make_notes(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    assert notes_folder(tmp_path, "p") == tmp_path / ".runs" / "p"
    assert notes_folder(tmp_path, "p", user=4242) == tmp_path / ".runs-4242" / "p"
    assert [each.name for each in tmp_path.iterdir()] == [".runs"]
