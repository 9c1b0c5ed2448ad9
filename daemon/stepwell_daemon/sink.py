"""Where extents of the spool go: a store, or a gateway that hands them on."""

from typing import Any, Protocol

from stepwell_daemon.spool.reader import Extent


class Sink(Protocol):
    """Takes extents, one after the other."""

    @property
    def kind(self) -> str:
        """What it is called in the status."""

    async def open(self) -> None:
        """Return when it can be reached; tell of it when it cannot, and never give up."""

    def prepare(self, extent: Extent) -> Any:
        """Return what ``deliver`` wants to have of ``extent``; a pure function, run in a thread."""

    async def deliver(self, extent: Extent, prepared: Any) -> None:
        """Return when everything of ``extent`` is taken or dead-lettered; never give up.

        The same extent may come again after a crash and must not count twice.
        """

    async def close(self) -> None:
        """Let go of connections. Can be called twice."""
