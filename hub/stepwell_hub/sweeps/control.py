"""The long poll of daemons: commands to runs, as soon as there are some."""

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from stepwell_hub.catalog.door import CatalogDoor
from stepwell_store.errors import CursorError

if TYPE_CHECKING:
    from stepwell_hub.sweeps.answers import Commands

OTHER_HUBS_SECONDS: Final = 1.0
"""Commands that another hub wrote are seen within so long."""


class Control:
    """The requests that wait for commands."""

    def __init__(self, catalog: CatalogDoor, *, is_shared: bool) -> None:
        """
        Args:
            is_shared: other hubs may write into the catalog.
        """
        self._catalog = catalog
        self._is_shared = is_shared
        self._changed = asyncio.Event()
        self._is_stopped = False

    def ring(self) -> None:
        """Wake the waiting requests: there may be new commands."""
        self._changed.set()
        self._changed = asyncio.Event()

    def stop(self) -> None:
        """Answer all waiting requests."""
        self._is_stopped = True
        self.ring()

    async def commands(self, cursor: str, wait_seconds: float) -> "Commands":
        """Return the commands after ``cursor``, as soon as there are some.

        Raises:
            CursorError: The cursor is not ours.
            CatalogUnavailableError: The database does not answer.
        """
        from stepwell_hub.catalog import sweeps

        if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):
            raise CursorError(cursor, "not a cursor of this list")
        after = int(cursor) if cursor else None
        deadline = time.monotonic() + wait_seconds
        while True:
            changed = self._changed
            found = await self._catalog.do(partial(sweeps.commands, after=after, now=time.time()))
            left = deadline - time.monotonic()
            if found.commands or left <= 0 or self._is_stopped:
                return found
            if self._is_shared:
                left = min(left, OTHER_HUBS_SECONDS)
            try:
                async with asyncio.timeout(left):
                    await changed.wait()
            except TimeoutError:
                pass
