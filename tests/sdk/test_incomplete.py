"""What a process leaves that is killed while it makes its journal is removed by the next one."""

import fcntl
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stepwell_wire.incomplete import remove_incomplete
from stepwell_wire.journal_files import find_journals
from tests.sdk.conftest import Start, python
from tests.sdk.incomplete import grow_old, leave_incomplete
from tests.waiting import wait_until


def anybodys(_: object) -> bool:
    return True


@pytest.mark.parametrize("function", ["posix_fallocate", "pwrite"])
def test_the_next_run_removes_what_a_killed_one_left_half_made(
    start: Start, folder: Path, function: str
) -> None:
    left = leave_incomplete(folder / "journals", function)
    with start(mode="offline") as run:
        run.log({"x": 1.0})
        wait_until(lambda: not left.exists(), "the half-made journal to go")
    assert [path.name for path in find_journals(folder / "journals")] == [
        Path(run._journal_dir).name
    ]


def test_what_a_kill_leaves_of_a_journal_that_is_removed_is_hidden_and_goes(
    tmp_path: Path,
) -> None:
    """A journal without a segment is one that lost it: nobody may leave such a folder."""
    code = """
import os, signal
import stepwell
from stepwell_wire.journal import JournalReader
run = stepwell.init('p', mode='offline', settings={'console': False})
for i in range(10): run.log({'x': i})
run.finish()
reader = JournalReader(run._journal_dir)
reader.mark_acked(reader.committed)
unlinked = []
def unlink(name, **more):
    unlinked.append(name)
    os_unlink(name, **more)
    if len(unlinked) == AT: os.kill(os.getpid(), signal.SIGKILL)
os_unlink, os.unlink = os.unlink, unlink
reader.remove()
"""
    for at in (1, 2):
        done = python(code.replace("AT", str(at)), STEPWELL_DIR=str(tmp_path))
        assert done.returncode == -9, done.stderr
        assert not find_journals(tmp_path)
        (left,) = tmp_path.glob(".*/lock")
        grow_old(left.parent)
        assert remove_incomplete(tmp_path, anybodys) == 1


def test_any_part_of_a_journal_that_was_being_removed_goes(tmp_path: Path) -> None:
    empty = tmp_path / ".run-a"
    empty.mkdir()
    assert remove_incomplete(tmp_path, anybodys) == 0, "it may be in the making"
    before = time.time() - 7200
    os.utime(empty, (before, before))
    repaired = tmp_path / ".run-b"
    repaired.mkdir()
    for name in ("lock", "writer.json", ".0.seg.tmp", "0.seg.unverified"):
        (repaired / name).touch()
    grow_old(repaired)
    assert remove_incomplete(tmp_path, anybodys) == 2
    assert not list(tmp_path.iterdir())


def held(folder: Path) -> int:
    lock = os.open(folder / "lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def young(folder: Path) -> None:
    (folder / "lock").touch()


def with_more(folder: Path) -> None:
    (folder / "thesis.tex").touch()


def without_lock(folder: Path) -> None:
    (folder / "lock").unlink()


def a_link(folder: Path) -> None:
    folder.rename(folder.parent.parent / "elsewhere")
    folder.symlink_to(folder.parent.parent / "elsewhere")


@pytest.mark.parametrize("change", [held, young, with_more, without_lock, a_link])
@pytest.mark.slow
def test_what_is_alive_young_or_not_ours_is_left(
    folder: Path, change: Callable[[Path], int | None]
) -> None:
    left = leave_incomplete(folder / "journals")
    descriptor = change(left)
    before = sorted(path.name for path in left.iterdir())
    assert remove_incomplete(folder / "journals", anybodys) == 0
    assert sorted(path.name for path in left.iterdir()) == before
    if descriptor is not None:
        os.close(descriptor)
        assert remove_incomplete(folder / "journals", anybodys) == 1
        assert not left.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user")
def test_what_another_user_left_is_theirs_to_remove(start: Start, folder: Path) -> None:
    theirs = leave_incomplete(folder / "journals")
    shutil.copytree(theirs, ours := theirs.with_name(".ours"), copy_function=shutil.copy2)
    for path in (theirs, *theirs.iterdir()):
        os.chown(path, 4001, 4001)
    with start(mode="offline"):
        wait_until(lambda: not ours.exists(), "our half-made journal to go")
    assert theirs.exists()


def test_a_folder_without_journals_is_no_error(tmp_path: Path) -> None:
    assert remove_incomplete(tmp_path / "missing", anybodys) == 0
