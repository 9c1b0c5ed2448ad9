"""Every number that both ends of the socket must agree on, and how they relate.

A limit is defined only here. A configurable limit has its default here as well, so that a test
can check the relations that make the data path work.
"""

from collections.abc import Sequence
from typing import Final

PROTOCOL_MAJOR: Final = 1
PROTOCOL_MINOR: Final = 2

METRIC_NAME_BYTES_MAX: Final = 512
"""A longer name is cut and ends in a hash of the whole, so that two long names stay two."""

SCHEMA_KEYS_MAX: Final = 4096
"""Values of one row. A larger dict becomes several rows with the same step and time."""

STEP_MAX: Final = 2**62
"""The largest step that a script can give. The steps after it are counted up from there, and
still fit into 64 bits."""

RESTART_MARK_MAX: Final = 127
"""Starts of a job that follow each other have marks of 1 to this that differ."""

STEP_MIN: Final = -(2**63)

SCHEMAS_PER_WRITER_MAX: Final = 65_536
METRICS_PER_WRITER_MAX: Final = 1_000_000

EVENT_BYTES_MAX: Final = 2 * 1024 * 1024 + 512 * 1024
"""One event's msgpack body. Larger texts and configs are split or cut by the writer."""

VALUE_DEPTH_MAX: Final = 32
"""Depth of nested lists and dicts in a value; deeper ones are written as text."""

EVENT_DEPTH_MAX: Final = 2 * VALUE_DEPTH_MAX
"""Depth of nested lists and dicts in a whole event, its own included; deeper is refused."""

HISTOGRAM_BINS_MAX: Final = 512
"""Bins of one histogram; more is refused by the SDK, and kept among the `events` by the daemon."""

FRAME_BYTES_TARGET: Final = 1024 * 1024
"""A sender cuts a frame at about this size."""

FRAME_BYTES_MAX: Final = 4 * 1024 * 1024
"""Records in one frame; larger is refused."""

MESSAGE_BYTES_MAX: Final = 64 * 1024 * 1024
"""gRPC message limit: a frame, or the schema table of a writer with very many metrics."""

NAMES_BYTES_MAX: Final = MESSAGE_BYTES_MAX - 8 * 1024 * 1024
"""All names of all sets of one writer, see ``names_size``: a hello and a record of the spool must
hold them at once."""

_NAME_OVERHEAD_BYTES: Final = 8  # Of a name in a set, in messages, records and memory.

RELAY_BATCH_BYTES_TARGET: Final = 4 * 1024 * 1024
"""Records in one batch between daemons, before compression."""

RELAY_BATCH_BYTES_MAX: Final = 16 * 1024 * 1024
"""One unpacked batch, descriptions of writers included; larger is refused before it is unpacked."""

RELAY_WRITERS_MAX: Final = 4096
"""Writers named on one stream between daemons; a sender with more begins a new stream."""

IDENTIFIER_BYTES_MAX: Final = 128
"""Project, run id, writer id and label."""

POSITION_MAX: Final = 1 << 62
"""Largest position at which a stream or a relayed frame may begin; later ones then fit 64 bits."""

JOURNAL_SEGMENT_BYTES: Final = 8 * 1024 * 1024
JOURNAL_SEGMENT_BYTES_MIN: Final = 64 * 1024
JOURNAL_BYTES_MAX_DEFAULT: Final = 1024 * 1024 * 1024

STAGED_BYTES_MAX: Final = 4 << 30
"""One staged blob, header included."""

STAGED_HEADER_BYTES_MAX: Final = 64 * 1024

BLOB_BYTES_MAX_DEFAULT: Final = 4 << 30
"""Staged bytes of one writer."""

PIXELS_MAX: Final = 1 << 27
"""Pixels of a picture, or of all frames of a video: what a worker of the daemon can encode within
its memory by default. Large frames become PNG, which needs less memory than WebP."""

VIDEO_SIDE_MAX: Final = 16_383
"""Pixels on each side of a video: the limit of WebP."""

FPS_MIN: Final = 0.01
FPS_MAX: Final = 1000.0
"""Frames a second of a video: its encoder counts in milliseconds."""

FRAMES_MAX: Final = 20_000
"""Frames of a video: all are in the worker's memory."""

BLOBS_PER_OFFER_MAX: Final = 64

BLOB_CHUNK_BYTES: Final = 1024 * 1024
"""Bytes of a blob in one message, where it goes over a socket."""

ROW_BYTES_MAX: Final = 24 + 8 * SCHEMA_KEYS_MAX

assert ROW_BYTES_MAX <= FRAME_BYTES_TARGET
assert SCHEMA_KEYS_MAX * (METRIC_NAME_BYTES_MAX + 8) < EVENT_BYTES_MAX
assert VALUE_DEPTH_MAX + 8 <= EVENT_DEPTH_MAX
assert EVENT_BYTES_MAX + FRAME_BYTES_TARGET <= FRAME_BYTES_MAX < MESSAGE_BYTES_MAX
assert FRAME_BYTES_MAX < JOURNAL_SEGMENT_BYTES <= JOURNAL_BYTES_MAX_DEFAULT
assert STAGED_HEADER_BYTES_MAX < BLOB_CHUNK_BYTES < RELAY_BATCH_BYTES_TARGET
assert RELAY_BATCH_BYTES_TARGET + FRAME_BYTES_MAX < RELAY_BATCH_BYTES_MAX < MESSAGE_BYTES_MAX


def names_size(keys: Sequence[str]) -> int:
    """Return the bytes that the names of one set count for, towards ``NAMES_BYTES_MAX``."""
    return len("".join(keys).encode()) + _NAME_OVERHEAD_BYTES * len(keys)
