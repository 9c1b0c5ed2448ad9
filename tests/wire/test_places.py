"""Where things are when nobody says otherwise."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from stepwell_wire import places
from stepwell_wire.lock_notes import DATA_LOCK, socket_lock


def test_data_is_in_the_users_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert places.default_data_dir({}) == Path("/home/ada/.local/share/stepwell")
    assert places.default_data_dir({"XDG_DATA_HOME": "/data"}) == Path("/data/stepwell")
    assert places.default_data_dir({"STEPWELL_DATA": "/here"}) == Path("/here")


def test_a_user_without_name_and_home_has_data_beside_their_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Containers run as any number, often one that no passwd names."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 64_099)
    monkeypatch.setattr(places, "SYSTEM_SOCKET", Path("/nonexistent/stepwell.sock"))
    own = Path("/tmp/stepwell-64099")
    assert places.default_data_dir({}) == own / "data"
    assert places.default_journals_dir({}) == own / "data" / "journals"
    assert places.own_socket({}) == own / "stepwell.sock"


def test_the_temporary_folder_is_the_first_that_exists_even_without_free_space(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Otherwise two processes find different places when the disk becomes full between them."""
    monkeypatch.setattr(places, "SYSTEM_SOCKET", Path("/nonexistent/stepwell.sock"))
    name = f"stepwell-{os.getuid()}"
    unwritable, missing, temp = "/proc", str(tmp_path / "missing"), str(tmp_path)
    assert places.own_socket({"TMPDIR": unwritable}).parent == Path("/proc", name)
    assert places.own_socket({"TMPDIR": missing, "TEMP": temp}).parent == tmp_path / name
    assert places.own_socket({"TMPDIR": missing, "TMP": temp}).parent == tmp_path / name
    assert places.own_socket({"TMPDIR": missing}).parent == Path("/tmp", name)
    for folder in (unwritable, temp):
        monkeypatch.setenv("TMPDIR", folder)
        assert places.fallback_journals_dir() == Path(folder, name, "journals")


def test_the_nodes_socket_comes_first_where_it_is_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    socket = tmp_path / "stepwell.sock"
    monkeypatch.setattr(places, "SYSTEM_SOCKET", socket)
    assert places.default_socket({"XDG_RUNTIME_DIR": "/run/user/1"}) == Path(
        "/run/user/1/stepwell/stepwell.sock"
    )
    socket.touch()
    for found in (places.default_socket, places.own_socket):
        assert found({"XDG_RUNTIME_DIR": "/run/user/1"}) == socket


@pytest.mark.parametrize("place", ["there", "gone", "no socket", "dead", "unread"])
def test_the_daemon_of_the_data_folder_is_used_in_every_session(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str
) -> None:
    monkeypatch.setattr(places, "SYSTEM_SOCKET", Path("/nonexistent/stepwell.sock"))
    path, data = tmp_path / "d.sock", tmp_path / "data"
    data.mkdir()
    environ = {"XDG_RUNTIME_DIR": str(tmp_path / "session"), "STEPWELL_DATA": str(data)}
    own = tmp_path / "session" / "stepwell" / "stepwell.sock"
    pid = subprocess.Popen(("true",))
    pid.wait()
    note = f"{pid.pid if place == 'dead' else os.getpid()}\n{path}\n"
    (data / DATA_LOCK).write_text("" if place == "unread" else note)
    with socket.socket(socket.AF_UNIX) as listening:
        if place == "no socket":
            path.touch()
        elif place != "gone":
            listening.bind(str(path))
        assert places.default_socket(environ) == (path if place == "there" else own)
        assert places.own_socket(environ) == own
        # One that was started for another folder in this very session is used in it.
        own.parent.mkdir(parents=True)
        with socket.socket(socket.AF_UNIX) as of_session:
            of_session.bind(str(own))
            socket_lock(own).write_text(f"{os.getpid()}\nservice\n")
            assert places.default_socket(environ) == own
        own.unlink()
        named = environ | {"STEPWELL_SOCKET": "/named/s.sock"}
        assert places.default_socket(named) == Path("/named/s.sock")
