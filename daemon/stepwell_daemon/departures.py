"""Departures: the moment at which the process of a writer that said no end is gone.

A stream that ends without a ``finish`` may be a writer that connects anew, or one that died. The
kernel says when the process ends; then its journal is free and says how.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from typing import Final

from stepwell_daemon.writer_state import WriterState

_WATCHED_MAX: Final = 256
"""Each takes a descriptor. Who finds no place is found by the regular look."""


class Departures:
    """Watches processes of this host. Owned by the event loop."""

    def __init__(self, on_gone: Callable[[], None]) -> None:
        self._on_gone = on_gone
        self._host = socket.gethostname()
        self._watched: dict[int, int] = {}

    def note_left(self, state: WriterState) -> None:
        """Take in that a stream of ``state`` has ended."""
        info = state.info
        is_ours = not (state.via or info.is_node or state.is_dead) and info.host == self._host
        if state.finished or not is_ours or info.pid <= 0 or info.pid in self._watched:
            return
        if len(self._watched) >= _WATCHED_MAX:
            return
        try:
            descriptor = os.pidfd_open(info.pid)
        except ProcessLookupError:
            self._on_gone()
            return
        except (OSError, OverflowError):
            return  # No descriptor is left, a kernel before 5.3, or no number of a process.
        self._watched[info.pid] = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._note_gone, info.pid)

    def close(self) -> None:
        """Watch nobody any more."""
        for pid in list(self._watched):
            self._forget(pid)

    def _note_gone(self, pid: int) -> None:
        self._forget(pid)
        self._on_gone()

    def _forget(self, pid: int) -> None:
        descriptor = self._watched.pop(pid)
        with contextlib.suppress(RuntimeError):  # The loop is closed.
            asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
