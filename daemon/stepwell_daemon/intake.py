"""The only way into the spool: checked records of every source are appended and counted.

The socket, other daemons, journals of dead writers and the node's own samples all use it. There is
no ``await`` between the check against a writer's mark and the append, so the mark cannot move
between them.
"""

from stepwell_daemon.frames import Taken
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.writer_state import WriterState


def take_frame(spool: Spool, state: WriterState, taken: Taken) -> None:
    """Take the new part of a frame of a writer's own stream; it may be empty."""
    spool.counters.frames_received += 1
    spool.counters.duplicate_bytes += taken.duplicate_bytes
    if taken.records:
        take_records(spool, state, taken)


def take_records(spool: Spool, state: WriterState, taken: Taken) -> None:
    """Append records and count them."""
    state.learn(taken.defined)
    state.note_rows(taken.points, taken.last_time_us)
    spool.append(state, taken.position, taken.records, points=taken.points, flags=taken.flags)
    counters, size = spool.counters, len(taken.records)
    counters.drop(taken.dropped)
    counters.points_received += taken.points
    counters.bytes_received += size
    counters.points_received_rate.add(taken.points)
    counters.bytes_received_rate.add(size)
