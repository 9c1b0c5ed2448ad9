"""Lines of stepwell on a stderr that takes no data: training is never blocked."""

import os
import pty
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

_TRAINING = """
import stepwell
run = stepwell.init(project="p", settings={"no_daemon": True, "finish_timeout": 0.5})
run.log({"a": 1.0, "odd": object()})
run.finish()
print(run._recording.voice.left_out)
"""


@contextmanager
def full_pipe(*, room: int = 0) -> Iterator[int]:
    """Yield the writer's end of a pipe that takes ``room`` more bytes and is not read."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, bytes(4096))
    except BlockingIOError:
        os.set_blocking(writer, True)
    if room:
        os.read(reader, room)
    try:
        yield writer
    finally:
        os.close(reader)
        os.close(writer)


@contextmanager
def stopped_terminal() -> Iterator[int]:
    """Yield a terminal after Ctrl-S."""
    master, terminal = pty.openpty()
    termios.tcflow(terminal, termios.TCOOFF)
    try:
        yield terminal
    finally:
        os.close(master)
        os.close(terminal)


def run_with(stderr: int, code: str, folder: Path) -> str:
    places = {"STEPWELL_DIR": str(folder), "STEPWELL_SOCKET": str(folder / "no.sock")}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, **places},
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )
    try:
        printed, _ = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 0
    return printed


@pytest.mark.holds("stopped-terminal")
@pytest.mark.parametrize("stderr", [full_pipe, stopped_terminal])
@pytest.mark.slow
def test_training_goes_on_with_a_stderr_that_takes_no_data(
    stderr: Callable[[], AbstractContextManager[int]], tmp_path: Path
) -> None:
    with stderr() as descriptor:
        assert int(run_with(descriptor, _TRAINING, tmp_path)) >= 2


@pytest.mark.slow
def test_a_long_text_does_not_block_on_a_pipe_with_little_room(tmp_path: Path) -> None:
    code = (
        "from stepwell._terminal import print_uncaptured\n"
        "print(print_uncaptured('…' * 5000), print_uncaptured('x'))"
    )
    with full_pipe(room=4096) as descriptor:
        assert run_with(descriptor, code, tmp_path) == "False False\n"


def test_a_stream_of_the_script_without_a_descriptor_gets_the_lines(tmp_path: Path) -> None:
    code = (
        "import io, sys\nfrom stepwell._terminal import Voice\n"
        "sys.stderr = io.StringIO()\nVoice().say('x' * 10_000)\nprint(sys.stderr.getvalue())"
    )
    with full_pipe() as descriptor:
        printed = run_with(descriptor, code, tmp_path)
    assert printed == "stepwell: " + "x" * 10_000 + "\n\n"
