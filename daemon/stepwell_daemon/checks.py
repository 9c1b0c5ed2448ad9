"""Checks for dead writers: when the next one is due, and who waits for its end."""

import asyncio
import contextlib
from collections.abc import Iterator


class Checks:
    """Belongs to the event loop."""

    def __init__(self) -> None:
        self._wanted = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []

    def request(self) -> None:
        """Let the next check begin at once."""
        self._wanted.set()

    async def made(self) -> None:
        """Return when a check that began after this call has ended."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self.request()
        await waiting

    async def due(self, seconds: float) -> None:
        """Return after ``seconds``, or as soon as a check is requested."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wanted.wait()

    @contextlib.contextmanager
    def making(self) -> Iterator[None]:
        """A check is made inside."""
        self._wanted.clear()
        waiting, self._waiting = self._waiting, []
        try:
            yield
        finally:
            for each in waiting:
                if not each.done():  # It may have been cancelled.
                    each.set_result(None)
