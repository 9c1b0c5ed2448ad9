"""Opening files in folders that others may write to."""

import errno
import os
import stat


def open_regular(path: str | os.PathLike[str], flags: int) -> int:
    """Open the regular file ``path`` and return its descriptor, never waiting.

    A pipe in its place would keep whoever opens it until somebody writes to it.

    Raises:
        OSError: It cannot be opened, or is no regular file.
    """
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "no regular file; move it away", os.fspath(path))
    return descriptor
