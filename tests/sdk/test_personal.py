"""When a personal daemon is started, and when it is started again."""

import errno
import os
import socket as sockets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest

from stepwell import _spawn
from stepwell._daemon_at_start import ensure_daemon
from stepwell._personal import RESTART_SECONDS, PersonalDaemon
from stepwell._settings import read_settings
from stepwell._terminal import Voice
from stepwell_wire import places
from stepwell_wire.lock_notes import DATA_LOCK, socket_lock


@dataclass
class Started:
    """What is kept of a daemon."""

    world: "World"
    place: int

    @property
    def pid(self) -> int:
        return self.world.pid

    def poll(self) -> int | None:
        return self.world.codes[self.place]


@dataclass
class World:
    """Daemons that are started here live in a list."""

    folder: Path
    now: float = 1000.0
    codes: list[int | None] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    pid: int = 0
    error: OSError | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "s.sock"

    def start_daemon(self, socket: str, data_dir: Path) -> Started:
        if self.error is not None:
            raise self.error
        self.codes.append(None)
        return Started(self, len(self.codes) - 1)

    def daemon(self, name: str = "s.sock") -> PersonalDaemon:
        made = PersonalDaemon(
            str(self.folder / name), self.folder, say=self.said.append, clock=lambda: self.now
        )
        made.allow(expected=True)
        return made

    def note(self, kind: str) -> None:
        socket_lock(self.socket).write_text(f"1\n{kind}\n")

    def pass_seconds(self, seconds: float) -> None:
        self.now += seconds
        path = self.folder / "s.sock.start"
        if path.exists():
            found = path.stat()
            os.utime(path, (found.st_atime - seconds, found.st_mtime - seconds))


@pytest.fixture
def world(folder: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(folder)
    monkeypatch.setattr(_spawn, "start_daemon", made.start_daemon)
    return made


def test_a_daemon_that_was_killed_is_started_again_and_not_in_a_tight_loop(world: World) -> None:
    personal = world.daemon()
    assert personal.ensure_started() == ""
    for _ in range(3):
        personal.note_answer()
        world.note("personal")
        world.codes[-1] = -9
        count = len(world.codes)
        for _ in range(20):
            assert personal.ensure_started() == ""
            assert personal.expected
            world.pass_seconds(1)
        assert len(world.codes) == count, "too soon"
        world.pass_seconds(RESTART_SECONDS)
        personal.ensure_started()
        personal.ensure_started()
        assert len(world.codes) == count + 1
    assert len(world.said) == 3


def test_when_the_end_of_a_run_waits_a_daemon_that_was_killed_is_started_again_soon(
    world: World,
) -> None:
    personal = world.daemon()
    personal.ensure_started()
    for _ in range(2):
        personal.note_answer()
        world.note("personal")
        world.codes[-1] = -9
        world.pass_seconds(3)
        personal.ensure_started()
        assert len(world.codes) == 1
    personal.hurry()
    personal.ensure_started()
    assert len(world.codes) == 2
    personal.note_answer()
    world.codes[-1] = -9
    world.pass_seconds(3)
    personal.ensure_started()
    assert len(world.codes) == 2, "once, not in a loop"


def test_of_many_ranks_that_end_one_starts_a_daemon(world: World) -> None:
    ranks = [world.daemon() for _ in range(8)]
    for rank in ranks:
        rank.allow(expected=False)
        rank.note_answer()
        rank.hurry()
    world.note("personal")
    assert [rank.ensure_started() for rank in ranks] == [""] * 8
    assert len(world.codes) == 1


def test_a_daemon_of_another_script_is_replaced_and_one_that_was_stopped_is_not(
    world: World,
) -> None:
    for kind, count in (("service", 0), ("stopped", 0), ("", 0), ("personal", 1)):
        personal = world.daemon()
        personal.allow(expected=False)
        personal.note_answer()
        world.note(kind)
        reason = personal.ensure_started()
        assert ("was stopped" in reason) == (kind == "stopped"), "what is stopped is not waited for"
        assert len(world.codes) == count, kind
        assert personal.expected == bool(count)


def test_of_many_ranks_one_starts_a_daemon(world: World) -> None:
    world.pid = os.getpid()  # It runs, and does not answer yet.
    ranks = [world.daemon() for _ in range(8)]
    for _ in range(3):
        assert [rank.ensure_started() for rank in ranks] == [""] * 8
        assert all(rank.expected for rank in ranks)
    assert len(world.codes) == 1


def test_a_fresh_run_starts_one_at_once_after_the_last_one_has_ended(world: World) -> None:
    world.daemon().ensure_started()
    world.pid = 2**22 + 1  # No process.
    world.daemon().ensure_started()
    assert len(world.codes) == 2


def test_a_daemon_that_does_not_start_is_an_obstacle_with_its_reason(world: World) -> None:
    (world.folder / "daemon.log").write_text("x\nstepwelld: the data folder is in use\n")
    personal = world.daemon()
    personal.ensure_started()
    world.codes[-1] = 4
    for _ in range(5):
        assert "code 4: the data folder is in use" in personal.ensure_started()
        assert not personal.expected
        world.pass_seconds(1)
    world.codes[-1] = 3
    assert personal.ensure_started() == ""  # Another one has the socket: it will answer.
    assert len(world.codes) == 2


@pytest.mark.parametrize("named", [False, True])
def test_if_another_sessions_daemon_got_the_data_folder_the_own_socket_leads_to_it(
    world: World, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(world.folder))
    monkeypatch.setattr(places, "SYSTEM_SOCKET", Path("/nonexistent/stepwell.sock"))
    monkeypatch.delenv("STEPWELL_SOCKET", raising=False)
    own, other = world.folder / "stepwell" / "stepwell.sock", world.folder / "other.sock"
    own.parent.mkdir(mode=0o700)
    if named:
        monkeypatch.setenv("STEPWELL_SOCKET", str(own))
    daemon = world.daemon("stepwell/stepwell.sock")
    daemon.allow(expected=True)
    assert daemon.ensure_started() == ""
    with sockets.socket(sockets.AF_UNIX) as listening:
        listening.bind(str(other))
        listening.listen()
        (world.folder / DATA_LOCK).write_text(f"{os.getpid()}\n{other}\n")
        world.codes[-1] = _spawn.DATA_HELD
        trouble = daemon.ensure_started()
        assert (not trouble) is (not named), "what a user named is left as it is"
        assert _spawn.look_at(str(own)).answers is not named
        assert len(world.codes) == 1
    if named:
        return
    # That daemon died: one is started in its place.
    world.now += 2 * RESTART_SECONDS
    other.unlink()
    assert daemon.ensure_started() == ""
    assert len(world.codes) == 2


def test_a_full_disk_is_named_as_it_keeps_the_reason_out_of_the_log(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (world.folder / "daemon.log").write_text("2026-11-27 INFO stopped spooled_bytes=0\n")  # Old.

    def refuse(**options: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    personal = world.daemon()
    personal.ensure_started()
    world.codes[-1] = 120
    said = personal.ensure_started()
    assert f"code 120: writing in {world.folder} failed (No space left on device); free" in said
    assert "STEPWELL_DATA" in said


def test_what_cannot_be_started_is_an_obstacle_too(world: World) -> None:
    world.error = PermissionError(13, "Permission denied", "/data")
    personal = world.daemon()
    for _ in range(3):
        assert "/data" in personal.ensure_started()
        assert not personal.expected


@pytest.mark.parametrize(
    ("kind", "is_refused"), [("service", True), ("stopped", True), ("personal", False)]
)
def test_the_socket_of_a_service_with_another_store_gets_no_daemon_of_the_default_folder(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, is_refused: bool
) -> None:
    monkeypatch.delenv("STEPWELL_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    site = world.folder / "site"
    site.mkdir()
    socket_lock(world.socket).write_text(f"1\n{kind}\n{site}\n")

    def started(data: Path, socket: Path = world.socket) -> bool:
        made = PersonalDaemon(str(socket), data, say=world.said.append, clock=lambda: world.now)
        made.allow(expected=True)
        why = made.ensure_started()
        assert f"stored in {site}" in why or not why
        world.pass_seconds(1000.0)
        return not why

    default = tmp_path / "stepwell"
    assert started(default) is not is_refused
    assert started(world.folder / "named")
    monkeypatch.setattr("stepwell_wire.former_store.usual_socket", lambda environ: world.socket)
    assert started(default)  # The user's own usual socket.


def test_the_end_of_a_daemon_is_seen_beside_one_of_another_socket(world: World) -> None:
    """Runs of one process may have sockets of their own."""
    first, second = world.daemon(), world.daemon("other.sock")
    first.ensure_started()
    second.ensure_started()
    world.codes[0] = 4
    assert "code 4" in first.ensure_started()
    assert second.ensure_started() == ""
    assert len(world.codes) == 2


@pytest.fixture
def usual_daemon(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The socket of a daemon that answers where a user without variables expects it."""
    monkeypatch.delenv("STEPWELL_SOCKET")
    monkeypatch.setattr("stepwell_wire.places.SYSTEM_SOCKET", folder / "none")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    path = folder / "stepwell" / "stepwell.sock"
    path.parent.mkdir(mode=0o700)
    with sockets.socket(sockets.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        socket_lock(path).write_text("77\npersonal\n")
        yield path


def said_at_start(capsys: pytest.CaptureFixture[str]) -> str:
    class Idle:
        personal = PersonalDaemon("", Path(), say=print)

    settings = read_settings({})
    ensure_daemon(settings, cast(Any, Idle()), Voice(), None, called="run")
    return capsys.readouterr().err


def test_without_a_daemon_the_line_names_the_folder_that_has_the_journal(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STEPWELL_NO_DAEMON", "1")
    monkeypatch.setenv("STEPWELL_SOCKET", str(folder / "none.sock"))
    journal = folder / "fallback" / "r-w"
    settings = read_settings({})
    ensure_daemon(settings, cast(Any, None), Voice(), journal, called="run")
    assert f"`stepwell sync {journal.parent}` sends them" in capsys.readouterr().err


def test_a_data_folder_that_a_running_daemon_does_not_have_is_said(
    usual_daemon: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = said_at_start(capsys)
    assert f"the data folder {folder / 'data'} has no effect: the daemon on {usual_daemon}" in said
    (folder / "data").mkdir()
    lock = folder / "data" / DATA_LOCK
    lock.write_text(f"78\n{folder / 'other.sock'}\n")
    assert "has no effect" in said_at_start(capsys)
    lock.write_text(f"77\n{usual_daemon}\n")
    assert said_at_start(capsys) == "", "it is this daemon's folder"
    lock.unlink()
    monkeypatch.setenv("STEPWELL_SOCKET", str(usual_daemon))
    assert said_at_start(capsys) == "", "the user named the daemon"
    monkeypatch.delenv("STEPWELL_SOCKET")
    monkeypatch.delenv("STEPWELL_DATA")
    assert said_at_start(capsys) == "", "the user named no folder"
