"""The name of a blob: the BLAKE3 digest of its bytes."""

from pathlib import Path
from typing import Final

_READ_BYTES: Final = 1 << 20


def digest_of(path: Path) -> str:
    """Return the BLAKE3 digest of a file, 64 hexadecimal digits."""
    from blake3 import blake3  # Imported here: a daemon without blobs needs no blake3.

    hasher = blake3()
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            hasher.update(data)
    return str(hasher.hexdigest())
