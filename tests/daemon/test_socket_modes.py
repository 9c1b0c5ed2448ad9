"""Who may reach the unix socket: the modes of real files."""

import grp
import os
import socket
import stat
from pathlib import Path

import pytest

from stepwell_daemon.errors import DaemonConfigError
from stepwell_daemon.instance import open_to_group
from tests.daemon.conftest import Process

pytestmark = pytest.mark.holds("socket-is-private")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def bound(folder: Path) -> Path:
    """Make a socket in a folder that nobody else may enter."""
    folder.mkdir(mode=0o700)
    path = folder / "s.sock"
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
    path.chmod(0o660)
    return path


def test_a_group_gets_the_socket_and_may_enter_its_folder(tmp_path: Path) -> None:
    path = bound(tmp_path / "run")
    group = grp.getgrgid(os.getgid()).gr_name
    open_to_group(path, group)
    assert mode(path.parent) == 0o750
    assert mode(path) == 0o660
    assert (path.stat().st_gid, path.parent.stat().st_gid) == (os.getgid(), os.getgid())


def test_an_unknown_group_is_an_error_and_opens_nothing(tmp_path: Path) -> None:
    path = bound(tmp_path / "run")
    with pytest.raises(DaemonConfigError, match="no such group"):
        open_to_group(path, "no-such-group-here")
    assert mode(path.parent) == 0o700


@pytest.mark.processes
def test_a_daemon_keeps_everybody_else_away(process: Process) -> None:
    process.socket = process.folder / "run" / "s.sock"
    group = grp.getgrgid(os.getgid()).gr_name
    process.start("--socket-group", group)
    assert mode(process.socket) == 0o660
    assert mode(process.socket.parent) == 0o750
    assert mode(process.data) == 0o700
    assert mode(process.data / "spool") == 0o700
