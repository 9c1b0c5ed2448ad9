"""A client names the folder of its journal; the daemon is not led into what belongs to others.

Run as root, as most of these need: they give folders to other users.
"""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stepwell_daemon.config import build_parser
from stepwell_daemon.errors import DaemonConfigError
from stepwell_daemon.journal_places import JournalPlaces
from stepwell_daemon.part_settings import load_config
from stepwell_daemon.receiver import Receiver
from stepwell_daemon.recovery import JournalRecovery
from stepwell_daemon.writer_state import WriterState
from stepwell_wire.errors import JournalError
from stepwell_wire.folder import JournalFolder
from stepwell_wire.ingest_pb2 import ClientMessage
from stepwell_wire.journal import JournalReader
from stepwell_wire.rows import decode_records
from tests.daemon.journals import hold_lock, make_journal
from tests.daemon.made import (
    append,
    hello,
    new_writer,
    row,
    schema_event,
    spool_running,
    spooled_in,
    steps_in,
    writer_info,
)
from tests.faults.said import Said

pytestmark = pytest.mark.holds("journals-are-private")

VICTIM, STRANGER = 4001, 4002
SERVICE, GROUP = 4003, 4004
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


# ---------------------------------------------------------------- a daemon with too few rights

WRITER = "0" * 31 + "1"
"""An id as the SDK makes them: a folder that cannot be entered is recognised by it."""


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder in which a daemon without rights of root works: other users may enter it."""
    made = Path(tempfile.mkdtemp(prefix="swp-"))
    made.chmod(0o755)
    for name in ("spool", "journals"):
        (made / name).mkdir()
    os.chown(made / "spool", SERVICE, SERVICE)
    os.chown(made / "journals", 0, GROUP)
    (made / "journals").chmod(0o1775)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def as_service(answer: Callable[[], Any]) -> Any:
    """Return the answer of a process of the service's user, a member of the group."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([GROUP])
            os.setgid(SERVICE)
            os.setuid(SERVICE)
            os.write(into, json.dumps(answer()).encode())
        finally:
            os._exit(0)
    os.close(into)
    with open(out, "rb") as file:
        text = file.read()
    os.waitpid(child, 0)
    return json.loads(text)


def served(shared: Path, named: Path | None, pid: int = 0) -> Callable[[], tuple[Any, ...]]:
    """Return a function that looks as a daemon does, after a writer with ``pid`` left it.

    It returns the steps and ends that the daemon takes, and what it says of journals.
    """

    async def run() -> tuple[list[int], list[str], dict[str, str]]:
        async with spool_running(shared / "spool") as spool:
            if named is not None:
                info = writer_info(WRITER, host=socket.gethostname(), pid=pid)
                state = WriterState(info, seen_at=time.time(), disconnected_at=-1e9)
                state.journal_dir = str(named)
                spool.registry.add(state)
                append(spool, state, STREAM[: len(schema_event()) + len(row(0))])
                await spool.settled()
            places = JournalPlaces(shared / "journals")
            recovery = JournalRecovery(spool, places=places, counters=spool.counters)
            for _ in range(3):
                await recovery.look()
                await spool.settled()
            recovery.close()
            frames = spooled_in(spool)
            ends = [
                event.body["state"]
                for frame in frames
                for event in decode_records(frame.record.content(), frame.schemas)[0].events
                if event.kind == "finish"
            ]
            said = recovery.problems | recovery.refused
            return steps_in(frames), ends, {str(path): why for path, why in said.items()}

    return lambda: asyncio.run(run())


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def closed_journal(shared: Path, case: str, **changes: Any) -> Path:
    home = shared / "journals" / "victim"
    folder = give(make_journal(home, WRITER, STREAM, **changes), VICTIM)
    os.chown(home, VICTIM, VICTIM)
    for path in folder.iterdir():
        path.chmod(0o644)
    if case == "hidden":
        folder.chmod(0o700)
    if case == "in a hidden folder":
        home.chmod(0o700)
    return folder


@needs_root
@pytest.mark.parametrize("case", ["readable", "hidden", "in a hidden folder"])
def test_a_journal_that_the_daemon_may_not_change_is_named_and_its_writer_has_an_end(
    shared: Path, case: str
) -> None:
    folder = closed_journal(shared, case)
    steps, ends, said = as_service(served(shared, folder, dead_pid()))
    assert steps == [0]
    assert ends == ["crashed"]
    if case == "in a hidden folder":
        assert said == {}, "the writer has an end, and the journal may be sent by now"
    else:
        why = said[str(folder)]
        for part in (str(folder), str(VICTIM), str(SERVICE), "stepwell sync", "operations.md"):
            assert part in why
    objection = as_service(lambda: JournalPlaces(shared / "journals").objection(str(folder)))
    assert objection.startswith(f"{folder}: ")
    assert "stepwell sync" in objection
    assert folder.exists()


@needs_root
@pytest.mark.parametrize("case", ["readable", "hidden"])
def test_a_journal_that_the_daemon_may_not_change_is_named_without_a_known_writer(
    shared: Path, case: str
) -> None:
    folder = closed_journal(shared, case)
    steps, ends, said = as_service(served(shared, None))
    assert (steps, ends) == ([], [])
    assert list(said) == [str(folder)]


@needs_root
@pytest.mark.parametrize("case", ["runs", "runs, hidden", "is held", "offline"])
def test_a_journal_that_waits_for_its_user_or_process_is_not_named(shared: Path, case: str) -> None:
    changes = {"mode": "offline"} if case == "offline" else {}
    folder = closed_journal(shared, "hidden" if "hidden" in case else "readable", **changes)
    held = hold_lock(folder) if case == "is held" else None
    pid = os.getpid() if case.startswith("runs") else 0
    _, ends, said = as_service(served(shared, folder if pid else None, pid))
    assert (ends, said) == ([], {})
    if held is not None:
        os.close(held)


@needs_root
def test_a_folder_of_the_group_lets_a_daemon_without_rights_of_root_import(shared: Path) -> None:
    """As docs/operations.md says: the folder has the group and its bit, and the umask is 007."""
    folder = closed_journal(shared, "readable")
    for path in (folder.parent, folder):
        os.chown(path, VICTIM, GROUP)
        path.chmod(0o2770)
    for path in folder.iterdir():
        os.chown(path, VICTIM, GROUP)
        path.chmod(0o660)
    steps, ends, said = as_service(served(shared, folder, dead_pid()))
    assert (steps, ends, said) == (list(range(ROWS)), ["crashed"], {})
    assert not folder.exists()


@needs_root
def test_journals_in_a_users_own_folder_are_found_without_a_connection(tmp_path: Path) -> None:
    journals = tmp_path / "journals"
    folder = give(make_journal(journals / "alice", "w1", STREAM), VICTIM)
    moved_away = make_journal(journals / "kept", "w2", STREAM)
    os.chown(folder.parent, VICTIM, VICTIM)
    assert look(tmp_path, tmp_path / "none") == (list(range(ROWS)), {})
    assert not folder.exists()
    assert moved_away.exists(), "a folder of the daemon's own user is none of a user's"
