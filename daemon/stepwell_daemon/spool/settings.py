"""The settings of the spool."""

from dataclasses import dataclass

from stepwell_daemon.spool.writer import SEGMENT_BYTES_DEFAULT


@dataclass(frozen=True, kw_only=True)
class SpoolSettings:
    segment_bytes: int = SEGMENT_BYTES_DEFAULT
    bytes_max: int = 8 << 30
    writer_share_max: float = 0.5
    in_flight_bytes_max: int = 64 << 20
    commit_interval_seconds: float = 0.01
    sync_groups: bool = True
    keep_seconds: float = 600.0
    keep_bytes: int = 256 << 20
