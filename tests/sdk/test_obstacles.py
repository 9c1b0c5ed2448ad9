"""What cannot come is not waited for: it is said at once, and the journal keeps the data."""

import os
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from stepwell import _spawn
from stepwell._last_delivery import _is_seen
from stepwell._sync import sync_with
from stepwell.cli.errors import CommandError
from stepwell.cli.journal import _journals_in
from stepwell.testing import RecordingDaemon
from stepwell_wire.journal_files import find_journals
from stepwell_wire.lock_notes import write_lock_note
from tests.sdk.conftest import Start, python
from tests.sdk.forks import in_fork
from tests.sdk.held import read_journal

_RUN = (
    "import stepwell\n"
    # More than `python` waits: who waits for what cannot come fails.
    "settings = dict(console=False, metadata=False, finish_timeout=600)\n"
    "run = stepwell.init('p', settings=settings)\n"
    "run.log({'x': 1.0})\n"
    "run.finish()\n"
)


def kept(folder: Path) -> list[tuple[int, float]]:
    (journal,) = find_journals(folder / "journals")
    return read_journal(journal).series("x")


@pytest.mark.slow
@pytest.mark.parametrize("is_gone", [False, True])
def test_a_data_folder_of_another_daemon(folder: Path, is_gone: bool) -> None:
    import fcntl

    pytest.importorskip("chdb")
    data = folder / "data"
    data.mkdir()
    lock = os.open(data / "daemon.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    other = folder / "other.sock"
    if not is_gone:
        other.touch()
    write_lock_note(lock, str(other))
    done = python(_RUN, STEPWELL_NO_DAEMON="0")
    os.close(lock)
    assert done.returncode == 0, done.stderr
    remedy = "whose socket is gone until" if is_gone else f"STEPWELL_SOCKET={other}"
    assert done.stderr.count(remedy) == 1, "said once, at the start"
    assert (
        "(the reason is above), but kept on disk; after fixing this, `stepwell sync" in done.stderr
    )
    assert kept(folder) == [(0, 1.0)]


@pytest.mark.slow
def test_too_few_descriptors(folder: Path) -> None:
    with RecordingDaemon(folder / "s.sock") as daemon:
        done = python(
            "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (16, 64))\n" + _RUN,
            STEPWELL_SOCKET=daemon.socket,
        )
    assert done.returncode == 0, done.stderr
    assert "file descriptors are left" in done.stderr
    assert kept(folder) == [(0, 1.0)]


def test_values_do_not_raise_without_a_free_descriptor(folder: Path) -> None:
    done = python(
        "import os, resource, stepwell\n"
        "class Frame: pass\n"
        "Frame.__module__ = 'pandas.core.frame'\n"
        "class Array:\n"
        "    def tolist(self): return list(range(100))\n"
        "settings = dict(console=False, metadata=False)\n"
        "run = stepwell.init('p', mode='offline', settings=settings)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
        "held = []\n"
        "try:\n"
        "    while True: held.append(os.open('/dev/null', os.O_RDONLY))\n"
        "except OSError: pass\n"
        "for step in range(3):\n"
        "    run.log({'x': float(step), 'n' * 600: 1.0, 'frame': Frame(), 'all': [Frame()]})\n"
        "    run.log({'array': Array(), 'inside': {'frame': Frame(), 'array': Array()}})\n"
        "    run.config.update({f'c{step}': 'a text of some length', f'd{step}': Frame()})\n"
        "run.summary['frame'] = Frame()\n"
        "for each in held: os.close(each)\n"
        "run.finish()\n"
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("values with long names are lost") == 1
    assert done.stderr.count("cannot be read: OSError") == 1
    assert kept(folder) == [(0, 0.0), (2, 1.0), (4, 2.0)]


def test_no_permission_on_the_socket(folder: Path) -> None:
    path = folder / "s.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        path.chmod(0o600)
        folder.chmod(0o755)

        def look() -> None:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setuid(54_321)
            else:
                path.chmod(0)
            found = _spawn.look_at(str(path))
            assert not found.answers
            assert "no permission to use the socket" in found.obstacle, found

        assert in_fork(look) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
def test_a_folder_that_may_not_be_looked_into_is_no_journal(folder: Path) -> None:
    """And the other folders are searched: the SDK uses the second one in such a case."""
    folder.chmod(0o755)
    closed, other = folder / "closed", folder / "other"
    closed.mkdir(mode=0o700)
    other.mkdir()

    def look() -> None:
        os.setgroups([])
        os.setuid(54_321)
        report = sync_with(
            lambda: None, [closed, other], "/none", None, keep=False, are_named=False, data=None
        )
        assert report.failed == ((closed, "no permission to look into this folder"),)
        with pytest.raises(CommandError, match="no permission to look into this folder"):
            _journals_in(closed)

    assert in_fork(look) == 0


def test_a_socket_that_is_none_and_a_path_that_can_be_none(folder: Path) -> None:
    (folder / "file").write_text("")
    assert "is not a socket" in _spawn.look_at(str(folder / "file")).obstacle
    assert "at most" in _spawn.look_at("/" + "x" * 300).obstacle
    assert _spawn.look_at(str(folder / "none")) == (False, "")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
def test_nothing_is_sent_to_another_users_socket(folder: Path) -> None:
    shared = folder / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    with RecordingDaemon(shared / "s.sock") as daemon:
        os.chown(shared / "s.sock", 54_321, 54_321)
        done = python(_RUN, STEPWELL_SOCKET=daemon.socket)
        assert daemon.writers == []
    assert done.returncode == 0, done.stderr
    assert "uid 54321" in done.stderr
    assert "a daemon on this host will fetch" not in done.stderr
    assert f"`stepwell sync {folder / 'journals'}" in done.stderr
    assert kept(folder) == [(0, 1.0)]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
def test_no_daemon_is_started_in_the_folder_of_another_user(folder: Path) -> None:
    pytest.importorskip("chdb")  # Else no daemon is installed, and that is said.
    theirs = folder / "theirs"
    theirs.mkdir()
    os.chown(theirs, 54_321, 54_321)
    done = python(_RUN, STEPWELL_SOCKET=str(theirs / "s.sock"), STEPWELL_NO_DAEMON="0")
    assert done.returncode == 0, done.stderr
    assert "belongs to another user (uid 54321)" in done.stderr
    assert "--socket" not in done.stderr
    assert list(theirs.iterdir()) == []
    assert kept(folder) == [(0, 1.0)]


def test_an_application_without_a_python(folder: Path) -> None:
    """A frozen application is not started a second time, and says once what does not work."""
    pytest.importorskip("chdb")  # Else no daemon is installed, and that is said.
    app = folder / "app"
    app.write_text(f'#!/bin/sh\necho started >> {folder}/starts\nexec {sys.executable} "$@"\n')
    app.chmod(0o755)
    done = python(
        f"import sys\nsys.executable, sys.frozen = {str(app)!r}, True\n" + _RUN,
        STEPWELL_NO_DAEMON="0",
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("contains no Python") == 1
    assert "STEPWELL_PYTHON" in done.stderr
    assert not (folder / "starts").exists()
    assert kept(folder) == [(0, 1.0)]


@pytest.mark.parametrize("socket", ["/" + "x" * 300, "/tmp/\udcff.sock"])
def test_a_socket_that_cannot_be_leaves_the_journal_readable(start: Start, socket: str) -> None:
    run = start(mode="offline", settings={"socket": socket})
    run.log({"x": 1.0})
    run.finish()
    assert read_journal(run._journal_dir).series("x") == [(0, 1.0)]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
@pytest.mark.parametrize(
    ("owner", "objection", "expected"),
    [
        (0, None, True),
        (0, "", True),
        (0, "the daemon does not import it", False),
        (54_321, None, False),  # It may have no right to.
        (54_321, "", True),
        (54_321, "the daemon does not import it", False),
    ],
)
def test_a_daemon_fetches_only_what_it_may_import(
    folder: Path, monkeypatch: pytest.MonkeyPatch, owner: int, objection: str | None, expected: bool
) -> None:
    path = folder / "s.sock"
    path.touch()
    os.chown(path, owner, owner)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    journal = cast(Any, SimpleNamespace(folder=folder / "journals" / "run-w"))
    settings = cast(Any, SimpleNamespace(socket=path, journals_dir=folder / "journals"))
    assert _is_seen(journal, settings, objection) is expected
