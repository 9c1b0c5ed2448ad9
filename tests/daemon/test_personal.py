"""A daemon that a training script started: whose limits it has, and what its locks say."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from stepwell_daemon.config import build_parser
from stepwell_daemon.errors import AlreadyRunningError, DaemonConfigError, DataHeldError
from stepwell_daemon.instance import Instance
from stepwell_daemon.part_settings import load_config
from stepwell_wire.lock_notes import PERSONAL, STOPPED, read_lock_note, socket_lock

_MIB = 1 << 20


def test_it_leaves_the_limits_of_the_script_behind() -> None:
    def limit() -> None:
        for kind, soft in ((resource.RLIMIT_FSIZE, 2 * _MIB), (resource.RLIMIT_STACK, _MIB)):
            resource.setrlimit(kind, (soft, resource.getrlimit(kind)[1]))
        os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])

    code = (
        "from stepwell_daemon import inheritance\n"
        "inheritance.leave_behind()\n"
        "import os, resource, threading\n"
        "print(resource.getrlimit(resource.RLIMIT_FSIZE)[0])\n"
        "print(resource.getrlimit(resource.RLIMIT_STACK)[0])\n"
        "print(len(os.sched_getaffinity(0)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    file_bytes, stack_bytes, cores = map(int, done.stdout.split())
    assert file_bytes == resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    assert stack_bytes == 8 * _MIB
    assert cores == len(os.sched_getaffinity(0))


def test_unknown_settings_of_the_script_do_not_stop_it() -> None:
    environ = {"STEPWELLD_TYPO": "1", "STEPWELLD_LOG_LEVEL": "warning", "STEPWELL_DATA": "/d"}
    with pytest.raises(DaemonConfigError, match="STEPWELLD_TYPO"):
        load_config(build_parser().parse_args([]), environ)
    config = load_config(build_parser().parse_args(["--personal"]), environ)
    assert config.log_level == "warning"


def test_its_locks_say_where_it_listens_and_whether_it_is_missed(tmp_path: Path) -> None:
    data, one, other = tmp_path / "data", tmp_path / "one.sock", tmp_path / "other.sock"
    with Instance(data, one, kind=PERSONAL) as held:
        assert read_lock_note(socket_lock(one)) == (str(os.getpid()), PERSONAL)
        with pytest.raises(DataHeldError, match=f"socket is gone .* `kill {os.getpid()}` ends it"):
            Instance(data, other)
        one.touch()
        with pytest.raises(DataHeldError, match=f"STEPWELL_SOCKET={one}"):
            Instance(data, other)
        one.unlink()
        with pytest.raises(AlreadyRunningError, match="stop it") as caught:
            Instance(data, one)
        assert not isinstance(caught.value, DataHeldError)
        held.note_stopped()
        assert read_lock_note(socket_lock(one)).more == STOPPED


def test_a_link_to_the_socket_of_a_daemon_that_died_is_removed(tmp_path: Path) -> None:
    own = tmp_path / "own.sock"
    own.symlink_to(tmp_path / "other.sock")
    with Instance(tmp_path / "data", own):
        assert not own.is_symlink()
