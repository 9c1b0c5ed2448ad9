"""Writing the exit note: the end of a process in which no Python handler runs.

A process can end in three ways without a Python handler. Each leaves a note beside the journals of
the active runs (`stepwell_wire/exit_note.py`). The process that imports the journal reads it.

- A signal that ends the process. `faulthandler` writes a traceback and passes the signal on: the
  process ends at once, also in the middle of a call into C, and `signal.getsignal` still returns
  SIG_DFL. A handler in Python would do neither. Only signals are watched that are neither handled
  nor ignored; a handler that is set later replaces ours.
- The exit status of `raise SystemExit(…)`. The interpreter reads it from the exception and drops
  it before any exit handler runs. The C library gets it in the end, so the C library writes it.
- `os._exit`.
"""

import contextlib
import faulthandler
import os
import signal
from pathlib import Path

from stepwell_wire.exit_note import EXIT_FILE, NOTED_SIGNALS, REGION_BYTES, STATUS

_UNBUFFERED = 2
"""``_IONBF`` of stdio.h in glibc."""

_RARE_SIGNALS = {signal.SIGALRM, signal.SIGVTALRM, signal.SIGIO, signal.SIGPWR, signal.SIGSYS}
_FEW_DESCRIPTORS = 256
"""With a lower limit the rare signals are not watched: each one takes a descriptor."""

_notes: list[Path] = []
"""Names of the one file that signals write to, of this process."""
_descriptors: dict[int, int] = {}
"""By signal. `faulthandler` holds the numbers, so they stay and are bound to other files."""
_is_watching = False


def watch(folder: Path) -> None:
    """Let the signals that end this process leave a note in ``folder``, a journal's."""
    note = folder / EXIT_FILE
    for other in list(_notes):
        try:
            os.link(other, note)
        except FileNotFoundError:
            _notes.remove(other)  # Its run has ended.
        except OSError:
            break  # Another file system: the newer run has the note.
        else:
            _notes.append(note)
            return
    with contextlib.suppress(OSError, RuntimeError, ValueError):
        os.close(os.open(note, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o660))
        _notes[:] = [note]
        _watch_signals()
        for number, kept in _descriptors.items():
            _put(_open_region(note, number), kept)


def unwatch(folder: Path) -> None:
    """Forget the note in ``folder``: the run records its end itself."""
    with contextlib.suppress(ValueError):
        _notes.remove(folder / EXIT_FILE)


def forget_in_child() -> None:
    """Right after a fork: drop the parent's note. Until now a signal would have written there."""
    _notes.clear()
    if not _descriptors:
        return
    with contextlib.suppress(OSError):
        for kept in _descriptors.values():
            _put(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), kept)


def note_status(folder: Path, status: int) -> None:
    """Note in a journal's ``folder`` that this process exits with ``status``."""
    with contextlib.suppress(OSError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(folder / EXIT_FILE, flags, 0o660)
        try:
            os.pwrite(descriptor, STATUS + bytes([status & 0xFF]), 0)
        finally:
            os.close(descriptor)


def let_exit_note(folder: Path) -> bool:
    """Let the exit of this process note its status in ``folder``; False where that fails."""
    with contextlib.suppress(OSError):
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(folder / EXIT_FILE, flags, 0o660)
        os.write(descriptor, STATUS)
        return write_status_at_exit(descriptor)
    return False


def write_status_at_exit(descriptor: int) -> bool:
    """Let ``exit(3)`` write the status, one byte, to ``descriptor``, which it then owns.

    Returns:
        False if the C library has no ``on_exit``; glibc has it.
    """
    if not can_write_at_exit():
        return False
    import ctypes

    library = ctypes.CDLL(None)
    library.fdopen.restype = ctypes.c_void_p
    stream = ctypes.c_void_p(library.fdopen(ctypes.c_int(descriptor), b"w"))
    if not stream:
        return False
    library.setvbuf(stream, None, ctypes.c_int(_UNBUFFERED), ctypes.c_size_t(0))
    # It calls a function with the status and ``stream``: the arguments of `fputc`.
    return bool(library.on_exit(library.fputc, stream) == 0)


def can_write_at_exit() -> bool:
    """Return whether `write_status_at_exit` is available."""
    try:
        import ctypes

        return hasattr(ctypes.CDLL(None), "on_exit")
    except (ImportError, OSError):
        return False


def _watch_signals() -> None:
    global _is_watching
    if _is_watching:
        return
    _is_watching = True
    has_few = os.sysconf("SC_OPEN_MAX") < _FEW_DESCRIPTORS
    for number in _unhandled(NOTED_SIGNALS):
        if has_few and number in _RARE_SIGNALS:
            continue
        descriptor = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        # Not all threads: reading the frames of those that run meanwhile may fail.
        faulthandler.register(number, file=descriptor, all_threads=False, chain=True)
        _descriptors[number] = descriptor


def _unhandled(numbers: tuple[signal.Signals, ...]) -> list[signal.Signals]:
    """Return those of ``numbers`` that are neither handled nor ignored, in Python or in C."""
    handled = 0
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith(("SigIgn:", "SigCgt:")):
                handled |= int(line.split()[1], 16)
    return [number for number in numbers if not handled >> (number - 1) & 1]


def _open_region(note: Path, number: int) -> int:
    descriptor = os.open(note, os.O_WRONLY | os.O_CLOEXEC)
    os.lseek(descriptor, number * REGION_BYTES, os.SEEK_SET)
    return descriptor


def _put(descriptor: int, kept: int) -> None:
    """Let ``kept`` refer to the open file of ``descriptor``."""
    os.dup2(descriptor, kept, inheritable=False)
    os.close(descriptor)
