"""Files that appear whole or not at all, and the format of a name's ending."""

import errno
import os
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from stepwell.cli.errors import USAGE, CommandError


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
    number, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(number, "wb") as file:
            yield file
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def binary_stdout() -> BinaryIO:
    sys.stdout.flush()
    return sys.stdout.buffer
