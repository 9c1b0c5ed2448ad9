"""A client names the folder of its journal; the daemon is not led into what belongs to others.

Run as root, as most of these need: they give folders to other users.
"""

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepwell_daemon.config import build_parser
from stepwell_daemon.errors import DaemonConfigError
from stepwell_daemon.journal_places import JournalPlaces
from stepwell_daemon.part_settings import load_config
from stepwell_daemon.receiver import Receiver
from stepwell_daemon.recovery import JournalRecovery
from stepwell_wire.errors import JournalError
from stepwell_wire.folder import JournalFolder
from stepwell_wire.ingest_pb2 import ClientMessage
from stepwell_wire.journal import JournalReader
from tests.daemon.journals import make_journal
from tests.daemon.made import (
    hello,
    new_writer,
    row,
    schema_event,
    spool_running,
    spooled_in,
    steps_in,
)
from tests.faults.said import Said

pytestmark = pytest.mark.holds("journals-are-private")

VICTIM, STRANGER = 4001, 4002
ROWS = 5
STREAM = schema_event() + b"".join(row(step) for step in range(ROWS))

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives folders to other users")


def give(folder: Path, user: int) -> Path:
    os.chown(folder, user, user)
    for path in folder.iterdir():
        os.chown(path, user, user, follow_symlinks=False)
    return folder


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def stranger_home(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "stranger"
    made.mkdir()
    os.chown(made, STRANGER, STRANGER)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def look(
    tmp_path: Path, named: Path, *roots: Path, times: int = 1
) -> tuple[list[int], dict[Path, str]]:
    """Let a daemon look for journals after a client named ``named``.

    Returns the steps that it took in, and what it says of journals.
    """

    async def run() -> tuple[list[int], dict[Path, str]]:
        async with spool_running(tmp_path / "spool") as spool:
            new_writer(spool).journal_dir = str(named)
            places = JournalPlaces(tmp_path / "journals", roots)
            recovery = JournalRecovery(spool, places=places, counters=spool.counters)
            for _ in range(times):
                await recovery.look()
            await spool.settled()
            recovery.close()
            return steps_in(spooled_in(spool)), recovery.problems | recovery.refused

    return asyncio.run(run())


@needs_root
def test_somebody_elses_journal_is_not_taken_in_because_a_client_names_it(tmp_path: Path) -> None:
    folder = give(make_journal(tmp_path / "home", "w1", STREAM), VICTIM)
    before = content_of(folder)
    steps, said = look(tmp_path, folder, times=2)
    assert steps == []
    assert content_of(folder) == before
    (why,) = said.values()
    for part in (str(folder), str(VICTIM), str(tmp_path / "journals"), "journal_roots"):
        assert part in why
    assert JournalPlaces(tmp_path / "journals").objection(str(folder)) == why


@needs_root
def test_a_client_is_told_at_once_that_its_journal_would_not_be_taken_in(tmp_path: Path) -> None:
    folder = give(make_journal(tmp_path / "home", "w1", STREAM), VICTIM)
    places = JournalPlaces(tmp_path / "journals")

    async def greeted(named: Path) -> str:
        async with spool_running(tmp_path / "spool") as spool:
            receiver = Receiver(
                spool, counters=spool.counters, writers_max=9, connections_max=9, places=places
            )
            client = Said([ClientMessage(hello=hello(journal_dir=str(named)))])
            await receiver.stream(None, client)
            return client.answers[0].welcome.notice

    assert asyncio.run(greeted(folder)) == places.objection(str(folder)) != ""
    assert asyncio.run(greeted(make_journal(tmp_path / "mine", "w1", STREAM))) == ""


@needs_root
def test_journals_of_any_user_are_taken_in_where_the_daemon_was_told(tmp_path: Path) -> None:
    folder = give(make_journal(tmp_path / "home", "w1", STREAM), VICTIM)
    assert look(tmp_path, folder, tmp_path / "home") == (list(range(ROWS)), {})
    assert not folder.exists()
    assert list((tmp_path / "home").iterdir()) == []


@needs_root
def test_the_daemons_own_folder_takes_journals_of_all_users(tmp_path: Path) -> None:
    folder = give(make_journal(tmp_path / "journals", "w1", STREAM), STRANGER)
    assert look(tmp_path, folder) == (list(range(ROWS)), {})
    assert not folder.exists()


@needs_root
def test_a_link_in_an_allowed_folder_leads_nowhere_else(tmp_path: Path) -> None:
    folder = give(make_journal(tmp_path / "home", "w1", STREAM), VICTIM)
    before = content_of(folder)
    (tmp_path / "journals").mkdir()
    link = tmp_path / "journals" / folder.name
    link.symlink_to(folder)
    steps, said = look(tmp_path, link)
    assert steps == []
    assert "symbolic link" in said[link]
    around = tmp_path / "journals" / "around"
    around.symlink_to(tmp_path / "home")
    steps, said = look(tmp_path, around / folder.name)
    assert steps == []
    assert "journal_roots" in said[around / folder.name]
    assert content_of(folder) == before


@needs_root
@pytest.mark.parametrize("link", [os.symlink, os.link])
@pytest.mark.parametrize("name", ["00000000000000000000.seg", "writer.json"])
def test_files_of_others_that_are_linked_into_a_journal_are_not_touched(
    tmp_path: Path, stranger_home: Path, link: object, name: str
) -> None:
    """Else a stranger reads a victim's points as their own, and they count as acknowledged."""
    victims = give(make_journal(tmp_path / "home", "victim", STREAM), VICTIM)
    before = content_of(victims)
    folder = give(make_journal(stranger_home, "w1", STREAM), STRANGER)
    (folder / name).unlink()
    link(victims / name, folder / name)  # type: ignore[operator]
    steps, said = look(tmp_path, folder, stranger_home)
    assert steps == []
    (why,) = said.values()
    assert name in why
    assert "symbolic link" in why or str(VICTIM) in why
    assert content_of(victims) == before
    assert all(path.stat().st_uid == VICTIM for path in victims.iterdir())


@needs_root
def test_a_lock_that_is_a_link_makes_no_file_elsewhere(tmp_path: Path, stranger_home: Path) -> None:
    folder = give(make_journal(stranger_home, "w1", STREAM), STRANGER)
    (folder / "lock").unlink()
    (folder / "lock").symlink_to(tmp_path / "made-by-the-daemon")
    steps, said = look(tmp_path, folder, stranger_home)
    assert steps == []
    assert "symbolic link" in said[folder]
    assert not (tmp_path / "made-by-the-daemon").exists()


@needs_root
@pytest.mark.parametrize("doubtful", [False, True])
def test_a_folder_that_is_swapped_for_a_link_costs_nobody_else_a_file(
    tmp_path: Path, stranger_home: Path, doubtful: bool
) -> None:
    """The swap comes between the check and the removal, as a quick attacker would time it."""
    victims = give(make_journal(tmp_path / "home", "victim", STREAM), VICTIM)
    before = content_of(victims)
    folder = give(make_journal(stranger_home, "w1", STREAM, acked=len(STREAM)), STRANGER)
    if doubtful:
        (folder / "00000000000000099992.seg").write_bytes(bytes(8192))
        give(folder, STRANGER)
    places = JournalPlaces(tmp_path / "journals", [stranger_home])
    reader = JournalReader(folder, check=places.check)
    assert reader.take_lock()
    folder.rename(stranger_home / "moved")
    folder.symlink_to(victims)
    reader.read(0, 1 << 20)
    reader.mark_acked(reader.committed)
    reader.remove()
    assert content_of(victims) == before
    left = [path.name for path in (stranger_home / "moved").iterdir()]
    assert left == [] or all(name.endswith(".unverified") for name in left)
    assert bool(left) == doubtful


@needs_root
def test_a_journal_that_everybody_may_write_is_left_until_that_is_mended(tmp_path: Path) -> None:
    folder = give(make_journal(tmp_path / "journals", "w1", STREAM), VICTIM)
    folder.chmod(0o777)
    steps, said = look(tmp_path, folder)
    assert steps == []
    assert "chmod o-w" in said[folder]
    folder.chmod(0o755)
    assert look(tmp_path, folder) == (list(range(ROWS)), {})


@needs_root
def test_a_lock_that_the_daemon_had_to_make_belongs_to_the_journals_user(tmp_path: Path) -> None:
    folder = give(make_journal(tmp_path / "journals", "w1", STREAM), VICTIM)
    (folder / "lock").unlink()
    reader = JournalReader(folder)
    assert reader.take_lock()
    assert (folder / "lock").stat().st_uid == VICTIM
    reader.close()


def test_the_same_user_may_keep_journals_anywhere(tmp_path: Path) -> None:
    folder = make_journal(tmp_path / "anywhere", "w1", STREAM)
    folder.chmod(0o777)  # As in a container that knows no umask.
    assert JournalPlaces(tmp_path / "journals").objection(str(folder)) == ""
    assert look(tmp_path, folder) == (list(range(ROWS)), {})


@needs_root
def test_an_ordinary_users_daemon_leaves_the_journals_of_root(tmp_path: Path) -> None:
    folder = JournalFolder(make_journal(tmp_path / "root", "w1", STREAM))
    places = JournalPlaces(tmp_path / "journals", user=STRANGER)
    with pytest.raises(JournalError, match="owner of the journal is user 0"):
        places.check(folder)
    folder.close()


def test_what_is_not_there_is_no_reason_to_complain(tmp_path: Path) -> None:
    places = JournalPlaces(tmp_path / "journals")
    for path in ("/nowhere/at/all", "n" * 300, "/a\0b"):
        assert places.objection(path) == ""


def test_roots_are_absolute(tmp_path: Path) -> None:
    def load(value: str) -> tuple[Path, ...]:
        words = build_parser().parse_args(["--journal-roots", value])
        return load_config(words, {"HOME": str(tmp_path)}).further_journal_roots()

    assert load("/scratch:/home") == (Path("/scratch"), Path("/home"))
    with pytest.raises(DaemonConfigError, match="journal_roots is 'here'"):
        load("here")
