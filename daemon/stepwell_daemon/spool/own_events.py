"""Events that the daemon itself adds to a run: states of blobs, artifacts that were not made."""

import asyncio
import time
from typing import Any, Final

from stepwell_daemon.spool import record
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.writer_state import WriterState
from stepwell_store.writer import WriterInfo
from stepwell_wire.records import pack_event

_FULL_SECONDS: Final = 0.5


class OwnEvents:
    """Appends events to a spool as if a writer had sent them. Owned by the event loop."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    async def note(self, who: WriterInfo, kind: str, body: dict[str, Any]) -> None:
        """Append an event when the spool has room; return when it is durable."""
        while True:
            await self._spool.room()
            if not self._spool.is_full and self._spool.failure is None:
                break
            await asyncio.sleep(_FULL_SECONDS)  # Rows first.
        self.append(who, kind, body)
        await self._spool.settled()

    def append(self, who: WriterInfo, kind: str, body: dict[str, Any]) -> None:
        """Append an event now; it is durable with the next group."""
        registry = self._spool.registry
        state = registry.get(who.writer_id)
        if state is None:  # The writer was silent for a month, or belongs to a spool that is gone.
            state = WriterState(who, seen_at=time.time())
            registry.add(state)
        event = pack_event(kind, body, step=0, time_us=time.time_ns() // 1000)
        self._spool.append(state, state.accepted, event, points=0, flags=record.SYNTHETIC)
