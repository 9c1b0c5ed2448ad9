"""Whose sockets are trusted, and that nothing reaches another one."""

import os
import socket
from pathlib import Path

import pytest

from stepwell_wire.trusted_socket import (
    OWNER_VARIABLE,
    TrustedSocket,
    UntrustedSocketError,
    trusted_users,
)

OTHER, SERVICE = 54_321, 54_322

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files to others")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder reached over folders of root alone, and short enough for a socket."""
    made = Path(os.path.realpath(tmp_path)) / "p"
    made.mkdir(mode=0o755)
    for folder in (made.parent, made.parent.parent, made.parent.parent.parent):
        assert os.stat(folder).st_uid == os.geteuid()
    return made


def listening(path: Path, owner: int | None = None) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind(str(path))
    made.listen()
    if owner is not None:
        os.chown(path, owner, owner)
    return made


def test_ones_own_socket_is_reached(place: Path) -> None:
    path = place / "s"
    with listening(path), TrustedSocket(str(path)) as held, socket.socket(socket.AF_UNIX) as peer:
        held.connect(peer)
    with pytest.raises(FileNotFoundError):
        TrustedSocket(str(place / "none"))
    (place / "file").write_text("")
    with pytest.raises(OSError, match=r"[Nn]on-socket"):
        TrustedSocket(str(place / "file"))


@as_root
def test_a_socket_of_another_user_is_refused_unless_that_user_is_named(place: Path) -> None:
    path = str(place / "s")
    with listening(place / "s", OTHER):
        with pytest.raises(UntrustedSocketError, match=f"uid {OTHER}.*{OWNER_VARIABLE}={OTHER}"):
            TrustedSocket(path, {})
        TrustedSocket(path, {OWNER_VARIABLE: str(OTHER)}).close()


@as_root
def test_a_service_is_trusted_in_the_folder_that_root_gave_it(place: Path) -> None:
    run = place / "run"
    run.mkdir(mode=0o750)
    os.chown(run, SERVICE, SERVICE)
    with listening(run / "s", SERVICE):
        TrustedSocket(str(run / "s"), {}).close()
    with listening(run / "o", OTHER), pytest.raises(UntrustedSocketError):
        TrustedSocket(str(run / "o"), {})


@as_root
def test_a_folder_in_which_anybody_makes_folders_gives_no_trust(place: Path) -> None:
    """As `/tmp/stepwell-1000`, made by another user before its owner came."""
    shared = place / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    folder = shared / "stepwell-0"
    folder.mkdir(mode=0o700)
    os.chown(folder, OTHER, OTHER)
    assert OTHER not in trusted_users(str(folder), {})
    with listening(folder / "s", OTHER), pytest.raises(UntrustedSocketError):
        TrustedSocket(str(folder / "s"), {})


@as_root
def test_a_link_of_another_user_gives_no_trust_to_the_folder_it_leads_to(place: Path) -> None:
    home, shared = place / "home", place / "tmp"
    home.mkdir()
    os.chown(home, OTHER, OTHER)
    assert OTHER in trusted_users(str(home), {})
    shared.mkdir()
    shared.chmod(0o1777)
    link = shared / "stepwell-0"
    link.symlink_to(home)
    assert OTHER in trusted_users(str(link), {}), "root's link"
    os.lchown(link, OTHER, OTHER)
    assert OTHER not in trusted_users(str(link), {})


def test_what_takes_the_place_of_a_socket_that_was_looked_at_is_not_reached(place: Path) -> None:
    path = place / "s"
    with listening(path) as ours, TrustedSocket(str(path)) as held:
        path.unlink()
        with listening(path) as theirs, socket.socket(socket.AF_UNIX) as peer:
            theirs.setblocking(False)
            held.connect(peer)
            ours.accept()[0].close()
            with pytest.raises(BlockingIOError):
                theirs.accept()


@as_root
def test_a_process_of_another_user_that_listens_there_is_refused(place: Path) -> None:
    path = place / "s"
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
        child = os.fork()
        if child == 0:  # It listens as another user; the file stays ours.
            os.setuid(OTHER)
            bound.listen()
            os._exit(0)
        os.waitpid(child, 0)
        with (
            TrustedSocket(str(path), {}) as held,
            socket.socket(socket.AF_UNIX) as peer,
            pytest.raises(UntrustedSocketError, match="process"),
        ):
            held.connect(peer)
