"""Files that appear whole or not at all."""

import errno
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replaced_file(name: str | Path) -> Iterator[BinaryIO]:
    """Yield a file that takes the name ``name`` when the block ends well, and vanishes else."""
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
