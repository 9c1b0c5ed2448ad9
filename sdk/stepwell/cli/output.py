"""Files that appear whole or not at all, and the format of a name's ending."""

import errno
import io
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import BinaryIO, Final

from stepwell.cli.errors import USAGE, CommandError, EndedBySignal

_ENDING_SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP)


def format_by_ending(output: str, formats: Collection[str]) -> str:
    """Return the one of ``formats`` that is the ending of ``output``.

    Raises:
        CommandError: The ending is none of them.
    """
    ending = Path(output).suffix.removeprefix(".").lower()
    if ending not in formats:
        raise CommandError(
            f"{output}: unknown format; expected the ending .{', .'.join(formats)}, or --format",
            USAGE,
        )
    return ending


@contextmanager
def replaced_file(name: str | Path) -> Iterator[BinaryIO]:
    """Yield a file that gets the name ``name`` if the block succeeds, and is deleted otherwise."""
    target = Path(name).expanduser()
    if target.exists() and not target.is_file():  # A pipe or device cannot be replaced.
        with target.open("wb") as stream:
            yield stream
        return
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder", str(target.parent))
    with signals_raised():
        number, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(number, "wb") as file:
                yield file
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


@contextmanager
def signals_raised() -> Iterator[None]:
    """Raise `EndedBySignal` in the block for the first SIGTERM or SIGHUP; ignore the next ones.

    A terminal that closes sends several. A signal that is ignored or handled stays as it is.
    """
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1:
            raise EndedBySignal(number)

    watched = [
        number
        for number in _ENDING_SIGNALS
        if threading.current_thread() is threading.main_thread()
        and signal.getsignal(number) is signal.SIG_DFL
    ]
    try:
        for number in watched:
            signal.signal(number, receive)
        yield
    finally:
        for number in watched:
            signal.signal(number, signal.SIG_DFL)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def binary_stdout() -> Iterator[BinaryIO]:
    """Standard output for bytes.

    With PYTHONUNBUFFERED, Python's own writes a part if the reader goes, and raises nothing.
    """
    sys.stdout.flush()
    if not isinstance(sys.stdout.buffer, io.RawIOBase):
        yield sys.stdout.buffer
        return
    with open(sys.stdout.fileno(), "wb", closefd=False) as whole:
        yield whole
