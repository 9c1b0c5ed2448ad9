"""Capture of the text that is written to stdout and stderr.

The write method of the stream object is wrapped, not the stream: loggers and progress bars hold
the object since before `init`. If a script replaced the interpreter's first streams, these are
wrapped as well: loggers that were set up earlier hold them.

A write that reaches several wrapped methods on its way is taken once, by the outermost.

Other packages wrap the method as well, and restore the one they found: IPython does so at each
cell. So `rewrap_streams` repeats the wrapping, and a restored method of ours continues to work.
"""

import contextlib
import io
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from stepwell import _notebook


class Taker(Protocol):
    def add(self, stream: str, text: str) -> None: ...


class _Thread(threading.local):
    off = False  # Whether the output of this thread is not captured.


_takers: tuple[Taker, ...] = ()
_ends: dict[str, str] = {}  # The last character that was written to each.
_wrapped: list[Any] = []  # Streams whose write is ours, or was.
_lock = threading.RLock()  # A signal handler may finish a run in the middle of a start.
_thread = _Thread()
_NOTHING = object()
failed: set[str] = set()
"""The streams that have failed to write, for example into a closed pipe."""


@contextlib.contextmanager
def uncaptured() -> Iterator[None]:
    """Inside, the output of this thread is printed but not captured."""
    before = _thread.off
    _thread.off = True
    try:
        yield
    finally:
        _thread.off = before


def is_in_line(stream: str) -> bool:
    """Return whether the last text on ``stream`` has not ended its line, as far as is known."""
    return bool(_takers) and _ends.get(stream, "\n") not in "\r\n"


def start_capture(taker: Taker) -> None:
    """Pass the text that is written to stdout and stderr to ``taker`` from now on."""
    global _takers
    with _lock:
        _takers = (*_takers, taker)
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name, None)
            _wrap(stream, name)
            held_before = getattr(sys, f"__{name}__", None)
            if held_before is not stream and not _notebook.is_kernel():
                _wrap(held_before, name)
        _notebook.follow_cells(_begin_cell, rewrap_streams, print_to_takers)


def stop_capture(taker: Taker) -> None:
    """Undo `start_capture`; the last one unwraps the streams."""
    global _takers
    with _lock:
        _takers = tuple(each for each in _takers if each is not taker)
        if _takers:
            return
        for stream in _wrapped:
            with contextlib.suppress(Exception):
                _unwrap(stream)
        _wrapped.clear()


def forget_captures() -> None:
    """In a forked child: its output no longer belongs to the parent's run."""
    global _takers, _lock
    _takers, _lock = (), threading.RLock()


def rewrap_streams() -> None:
    """Wrap stdout and stderr again if another package removed our wrapping."""
    if not _takers:
        return
    with _lock:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name, None)
            if any(each is stream for each in _wrapped):
                _wrap(stream, name)


def _begin_cell() -> None:
    """Wrap the streams again; the output of a cell begins on a line of its own."""
    rewrap_streams()
    for name in ("stdout", "stderr"):
        if is_in_line(name):
            _ends[name] = "\n"
            print_to_takers(name, "\n")


def print_to_takers(stream: str, text: str) -> None:
    """Pass text to all takers that the user saw in another way than through a stream."""
    try:
        for taker in _takers:
            taker.add(stream, text)
    except Exception:
        pass


def _wrap(stream: Any, name: str) -> None:
    original = getattr(stream, "write", None)
    if original is None or hasattr(original, "_stepwell_before"):
        return  # Ours already: one stream in both places, or another run wrapped it.
    before = getattr(stream, "__dict__", {}).get("write", _NOTHING)
    write = (
        _plain_write(original, name) if _is_plain(stream, original) else _any_write(original, name)
    )
    write._stepwell_before = before  # type: ignore[attr-defined]
    try:
        stream.write = write
    except Exception:
        return  # A stream that cannot be wrapped prints as before, uncaptured.
    if not any(each is stream for each in _wrapped):
        _wrapped.append(stream)


def _unwrap(stream: Any) -> None:
    """Restore the method, unless another package wrapped it since: then ours stays, idle."""
    write = stream.__dict__.get("write")
    before = getattr(write, "_stepwell_before", None)
    if before is _NOTHING:
        del stream.write
    elif before is not None:
        stream.write = before


def _is_plain(stream: Any, original: Any) -> bool:
    """Whether ``original`` is the interpreter's own, which calls no other stream's `write`."""
    is_own = type(stream) is io.TextIOWrapper and getattr(original, "__self__", None) is stream
    return is_own and type(original) is type("".join)


def _plain_write(original: Any, name: str) -> Callable[..., Any]:
    def write(text: Any, /) -> Any:
        try:
            written = original(text)
        except OSError:
            failed.add(name)
            raise
        if _takers and text:
            _ends[name] = text[-1]
            if not _thread.off:
                print_to_takers(name, text)
        return written

    return write


def _any_write(original: Any, name: str) -> Callable[..., Any]:
    def write(text: Any, *more: Any, **named: Any) -> Any:
        if _takers and text and isinstance(text, str):
            _ends[name] = text[-1]
        if not _takers or _thread.off:
            return original(text, *more, **named)
        _thread.off = True
        try:
            written = original(text, *more, **named)
        except OSError:
            failed.add(name)
            raise
        finally:
            _thread.off = False
        if text and isinstance(text, str):
            print_to_takers(name, text)
        return written

    return write
