"""Opening files in folders that others may write to."""

import errno
import os
import stat


def open_regular(path: str | os.PathLike[str], flags: int, *, folder: int | None = None) -> int:
    """Open the regular file ``path`` and return its descriptor, never waiting.

    Opening a pipe in its place would block until another process opens the pipe for writing.

    Args:
        folder: descriptor of the folder that ``path`` is in; a symbolic link is refused then.

    Raises:
        OSError: It cannot be opened, or is not a regular file.
    """
    flags |= os.O_CLOEXEC | os.O_NONBLOCK
    if folder is not None:
        flags |= os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, dir_fd=folder)
    except OSError as error:
        if folder is not None and error.errno == errno.ELOOP:
            why = "a symbolic link; move it away"
            raise OSError(errno.ELOOP, why, os.fspath(path)) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file; move it away", os.fspath(path))
    return descriptor
