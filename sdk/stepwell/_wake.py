"""Waking a thread from anywhere, a signal handler included."""

import queue


class Wake:
    """Like `threading.Event`, but ``set`` may interrupt itself.

    An Event takes a lock to be set. A signal handler that sets it while the same thread is setting
    it would wait for itself without end. The queue is C code, and its ``put`` is made for that.

    ``wait`` clears it.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[None] = queue.SimpleQueue()

    def set(self) -> None:
        if self._queue.empty():
            self._queue.put(None)

    def clear(self) -> None:
        try:
            while True:
                self._queue.get_nowait()
        except queue.Empty:
            return

    def wait(self, timeout_seconds: float | None = None) -> None:
        """Wait until it is set, at most ``timeout_seconds``."""
        try:
            self._queue.get(timeout=None if timeout_seconds is None else max(0.0, timeout_seconds))
        except queue.Empty:
            return
