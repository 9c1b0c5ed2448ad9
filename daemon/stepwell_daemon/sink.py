"""The destination of the spool's extents: a store or a gateway."""

from typing import Any, Protocol

from stepwell_daemon.spool.reader import Extent


class Sink(Protocol):
    """Takes extents, one after the other."""

    @property
    def kind(self) -> str:
        """Its name in the status."""

    async def open(self) -> None:
        """Return when it is reachable; report it while it is not, and never give up."""

    def prepare(self, extent: Extent) -> Any:
        """Return the input of ``deliver`` for ``extent``; a pure function, run in a thread."""

    async def deliver(self, extent: Extent, prepared: Any) -> None:
        """Return when all frames of ``extent`` are stored or dead-lettered; never give up.

        The same extent may come again after a crash and must not count twice.
        """

    async def close(self) -> None:
        """Release connections. Can be called twice."""
