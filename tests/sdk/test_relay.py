"""The relay process: where grpc cannot be used in the process that logs."""

from pathlib import Path

import pytest

from stepwell.testing import RecordingDaemon
from stepwell_wire.journal_files import find_journals
from tests.sdk.conftest import python

_FORKS = 12


@pytest.mark.slow
def test_where_forks_of_grpc_are_handled_another_process_sends(folder: Path) -> None:
    """With grpc's own fork support on, a process that forks while it sends hangs."""
    with RecordingDaemon(folder / "s.sock") as daemon:
        done = python(
            "import os, sys, stepwell\n"
            "run = stepwell.init('p', settings=dict(console=False, metadata=False))\n"
            "run.log({'x': 0.0})\n"
            "assert run.flush(30)\n"
            f"for i in range({_FORKS}):\n"
            "    run.log({'x': 1.0 + i})\n"
            "    if (child := os.fork()) == 0:\n"
            "        os._exit(0)\n"
            "    os.waitpid(child, 0)\n"
            "run.finish()\n"
            "print('grpc' in sys.modules, os.environ['GRPC_ENABLE_FORK_SUPPORT'])\n",
            STEPWELL_SOCKET=daemon.socket,
            GRPC_ENABLE_FORK_SUPPORT="1",
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == "False 1\n"
        assert [point.value for point in daemon.points("x")] == [float(i) for i in range(13)]
        assert find_journals(folder / "journals") == []


@pytest.mark.slow
def test_a_refusal_of_the_relay_is_said_and_not_waited_for(folder: Path) -> None:
    with RecordingDaemon(folder / "s.sock") as daemon:
        daemon.refuse_next("LIMIT", "too many of them")
        done = python(
            "import stepwell\n"
            "run = stepwell.init('p', settings=dict(console=False, metadata=False))\n"
            "run.log({'x': 0.0})\n"
            "run.finish()\n",
            STEPWELL_SOCKET=daemon.socket,
            GRPC_ENABLE_FORK_SUPPORT="1",
        )
    assert "LIMIT" in done.stderr
    assert "too many of them" in done.stderr
    assert len(find_journals(folder / "journals")) == 1


@pytest.mark.slow
def test_a_process_that_can_start_no_thread_any_more_has_a_relay(folder: Path) -> None:
    """As Python 3.12 while it ends: a script without `finish` waited half a minute."""
    with RecordingDaemon(folder / "s.sock") as daemon:
        done = python(
            "import stepwell, threading\n"
            "from stepwell import _channel\n"
            "run = stepwell.init('p', settings=dict(console=False, metadata=False))\n"
            "start = threading.Thread.start\n"
            "def refuse(thread):\n"
            "    if thread.name.startswith('stepwell-acks'):\n"
            '        raise RuntimeError("can\'t create new thread at interpreter shutdown")\n'
            "    start(thread)\n"
            "threading.Thread.start = refuse\n"
            "run.log({'x': 1.0})\n"
            "run.finish()\n",
            STEPWELL_SOCKET=daemon.socket,
        )
        assert done.returncode == 0, done.stderr
        assert [point.value for point in daemon.points("x")] == [1.0]
    assert find_journals(folder / "journals") == []
