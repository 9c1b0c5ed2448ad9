"""The reading end: extents of the spool with the facts that decode them. Synchronous."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stepwell_daemon.spool import record
from stepwell_daemon.spool.disk import Disk
from stepwell_daemon.spool.quarantine import quarantine
from stepwell_daemon.spool.record import Damage
from stepwell_daemon.spool.segment import Location
from stepwell_daemon.spool.walker import Binding, SegmentFile, SegmentWalker, SpooledFrame
from stepwell_store.tables import BLOCK_LAYOUT

logger = logging.getLogger("stepwell_daemon.spool")


@dataclass(slots=True)
class Extent:
    """A piece of one segment: ``start`` to ``end``."""

    segment: int
    start: int
    end: int
    frames: list[SpooledFrame] = field(default_factory=list)
    points: int = 0
    raw_bytes: int = 0
    damaged: int = 0
    layout: int = BLOCK_LAYOUT
    """The layout of the blocks under which the extent may have been sent before."""


class SpoolReader:
    """Reads segments from any place. One caller at a time."""

    def __init__(
        self,
        folder: Path,
        spool: int,
        *,
        fallback: Mapping[int, Binding] | None = None,
        disk: Disk | None = None,
    ) -> None:
        self._folder = folder
        self._spool = spool
        self._disk = disk or Disk()
        self._known = dict(fallback or {})
        self._walker: SegmentWalker | None = None

    def read_extent(self, start: Location, end: int, *, points_max: int, bytes_max: int) -> Extent:
        """Return the extent from ``start`` up to the first limit, at least one record.

        Args:
            end: the segment's durable end, or the end of an extent that is read again. In the
                second case the limits must be the former ones, or very large.
        """
        walker = self._open(start.segment)
        extent = Extent(start.segment, start.offset, start.offset)
        for item, writer, missing in walker.walk(start.offset, end):
            if isinstance(item, Damage):
                extent.damaged += 1
                extent.end = item.end
                quarantine(walker.segment, item)
                continue
            if extent.frames and (
                extent.points + item.points > points_max
                or extent.raw_bytes + item.raw_bytes > bytes_max
            ):
                break
            extent.end = item.end
            if item.kind == record.WRITER:
                if writer is None:
                    logger.error("a writer's description is invalid at=%d", item.offset)
                continue
            if writer is None:
                extent.damaged += 1
                quarantine(walker.segment, Damage(item.offset, item.end))
                continue
            extent.frames.append(SpooledFrame(item, writer.info, writer.schemas, missing))
            extent.points += item.points
            extent.raw_bytes += item.raw_bytes
        else:
            extent.end = end  # Zeros and damage up to here were skipped as well.
        return extent

    def close(self) -> None:
        if self._walker is not None:
            self._walker.segment.close()
            self._walker = None

    def _open(self, number: int) -> SegmentWalker:
        if self._walker is None or self._walker.segment.number != number:
            self.close()
            segment = SegmentFile(self._disk, self._folder, number, self._spool)
            self._walker = SegmentWalker(segment, self._known)
        return self._walker
