"""Where things are when nobody says otherwise."""

import os
from pathlib import Path

import pytest

from stepwell_wire import places


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
    assert places.default_socket({}) == own / "stepwell.sock"


def test_the_temporary_folder_is_the_first_that_exists_even_without_free_space(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Otherwise two processes find different places when the disk becomes full between them."""
    monkeypatch.setattr(places, "SYSTEM_SOCKET", Path("/nonexistent/stepwell.sock"))
    name = f"stepwell-{os.getuid()}"
    unwritable, missing, temp = "/proc", str(tmp_path / "missing"), str(tmp_path)
    assert places.default_socket({"TMPDIR": unwritable}).parent == Path("/proc", name)
    assert places.default_socket({"TMPDIR": missing, "TEMP": temp}).parent == tmp_path / name
    assert places.default_socket({"TMPDIR": missing, "TMP": temp}).parent == tmp_path / name
    assert places.default_socket({"TMPDIR": missing}).parent == Path("/tmp", name)
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
    assert places.default_socket({"XDG_RUNTIME_DIR": "/run/user/1"}) == socket
