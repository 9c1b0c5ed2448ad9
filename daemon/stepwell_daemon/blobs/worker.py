"""A worker: a process that converts staged files into blobs. One at a time, until stdin ends.

    worker → daemon   {"ready": true}, once it can work                one JSON object a line
    daemon → worker   {"source": path, "target": path}
    worker → daemon   {"digest", "size", "media_type", "width", "height"}
                      {"unusable": why}     never possible
                      {"failed": why}       not now: the disk

It runs at a low priority and under a limit of memory. A crash of the worker affects no other
process.
"""

import json
import os
import sys
import zlib
from pathlib import Path
from typing import Any, Final

import blake3  # noqa: F401  (at the start, so that a worker that cannot work does not begin)
import PIL.Image

from stepwell_daemon.blobs.digest import digest_of
from stepwell_daemon.blobs.makers import MAKERS, UnusableError
from stepwell_daemon.blobs.worker_start import start_worker
from stepwell_wire.errors import StagedDamagedError
from stepwell_wire.files import open_regular
from stepwell_wire.staged import StagedHeader, read_header

_READ_BYTES: Final = 1 << 20
_REASON_CHARACTERS_MAX: Final = 1000
"""An answer must fit into one line; a reason may quote the staged file's header."""


def make(source: Path, target: Path) -> dict[str, Any]:
    """Convert the staged file ``source`` into ``target``; return the answer of the protocol."""
    try:
        target.unlink(missing_ok=True)  # A previous worker may have left it.
        descriptor = open_regular(source, os.O_RDONLY)
        with open(descriptor, "rb") as file:
            header = read_header(descriptor, source.name)
            _check_payload(file.fileno(), header)
            maker = MAKERS.get(header.kind)
            if maker is None:
                raise UnusableError(
                    f"unknown kind {header.kind!r}, expected one of {', '.join(MAKERS)}: "
                    "upgrade the daemon to the client's release"
                )
            made = maker(header, file, target)
        return {
            "digest": digest_of(target),
            "size": target.stat().st_size,
            "media_type": made.media_type,
            "width": made.width,
            "height": made.height,
        }
    except (UnusableError, StagedDamagedError) as error:
        return {"unusable": str(error)[:_REASON_CHARACTERS_MAX]}
    except MemoryError:
        return {"unusable": "more memory is needed than blob_worker_memory_bytes allows"}
    except OSError as error:
        return {"failed": f"{error.filename or target}: {error.strerror or error}"}
    except Exception as error:  # An error in a decoder: the next blob may succeed.
        return {"unusable": f"{type(error).__name__}: {error}"[:_REASON_CHARACTERS_MAX]}


def _check_payload(descriptor: int, header: StagedHeader) -> None:
    crc32 = offset = 0
    while offset < header.payload_bytes:
        data = os.pread(descriptor, min(_READ_BYTES, header.payload_bytes - offset), offset)
        if not data:
            raise UnusableError("the staged file is shorter than its header says")
        crc32 = zlib.crc32(data, crc32)
        offset += len(data)
    if crc32 != header.payload_crc32:
        raise UnusableError(
            "the bytes do not match their checksum; the machine may have lost power"
        )


def main() -> None:
    start_worker()
    PIL.Image.preinit()  # The usual decoders are loaded once.
    _send({"ready": True})
    for line in sys.stdin:
        asked = json.loads(line)
        _send(make(Path(asked["source"]), Path(asked["target"])))


def _send(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
