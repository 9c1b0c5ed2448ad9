"""Departures: the moment at which the process of a writer without a ``finish`` has ended.

A stream that ends without a ``finish`` may belong to a writer that reconnects, or to a dead one.
The kernel reports the end of the process; then its journal is unlocked and contains the end.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from typing import Final

from stepwell_daemon.writer_state import WriterState

_WATCHED_MAX: Final = 256
"""Maximum of watched processes, one descriptor each. The regular check finds all others."""


class Departures:
    """Watches processes of this host. Belongs to the event loop."""

    def __init__(self, on_gone: Callable[[], None]) -> None:
        self._on_gone = on_gone
        self._host = socket.gethostname()
        self._watched: dict[int, int] = {}

    def note_left(self, state: WriterState) -> None:
        """Note that a stream of ``state`` has ended."""
        info = state.info
        if state.is_dead and not state.finished:
            self._on_gone()  # The stream was that of `stepwell sync`.
            return
        is_ours = not (state.via or info.is_node) and info.host == self._host
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
            # No descriptor is left, the kernel is older than 5.3, or the number is not a process.
            return
        self._watched[info.pid] = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._note_gone, info.pid)

    def close(self) -> None:
        """Stop watching."""
        for pid in list(self._watched):
            self._forget(pid)

    def _note_gone(self, pid: int) -> None:
        self._forget(pid)
        self._on_gone()

    def _forget(self, pid: int) -> None:
        descriptor = self._watched.pop(pid)
        with contextlib.suppress(RuntimeError):  # The loop is closed already.
            asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
