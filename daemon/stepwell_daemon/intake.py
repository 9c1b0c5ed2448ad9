"""One way into the spool: what was checked is appended and counted, from wherever it comes.

The socket, other daemons, journals of dead writers and the node's own samples all end here. No
``await``: what is checked against a writer's mark is appended before the mark can move.
"""

from stepwell_daemon.session import Taken
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.writers import WriterState


def take_frame(spool: Spool, state: WriterState, taken: Taken) -> None:
    """Take what is new of a frame of a writer's own stream; it may be nothing."""
    spool.counters.frames_received += 1
    spool.counters.duplicate_bytes += taken.duplicate_bytes
    if taken.records:
        take_records(spool, state, taken)


def take_records(
    spool: Spool, state: WriterState, taken: Taken, *, takes_place: bool = True
) -> None:
    """Append records and count them.

    Args:
        takes_place: they are the next of the writer's own stream, and move its mark.
    """
    state.learn(taken.defined)
    state.last_time_us = max(state.last_time_us, taken.last_time_us)
    spool.append(
        state,
        taken.position,
        taken.records,
        points=taken.points,
        flags=taken.flags,
        takes_place=takes_place,
    )
    counters, size = spool.counters, len(taken.records)
    counters.drop(taken.dropped)
    counters.points_received += taken.points
    counters.bytes_received += size
    counters.points_received_rate.add(taken.points)
    counters.bytes_received_rate.add(size)
    state.rate.add(taken.points)
