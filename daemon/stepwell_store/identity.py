"""Conversion of names to the 64-bit numbers of series, projects, metrics and runs in the tables.

    fingerprint(parts…) := first 8 bytes of BLAKE2b(digest 8) over the parts as UTF-8,
                           joined by a zero byte, read as little-endian u64

With n series the chance of any collision is about n²/2⁶⁵: 3·10⁻⁸ for a million of them.
docs/formats/store.md describes the format.
"""

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=65_536)
def fingerprint(*parts: str) -> int:
    """Return the 64-bit number of ``parts``."""
    joined = "\0".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(joined, digest_size=8).digest(), "little")


def series_fingerprint(project: str, run_id: str, metric: str, label: str) -> int:
    """Return the number of one series."""
    return fingerprint(project, run_id, metric, label)


def node_fingerprint(host: str, metric: str, label: str) -> int:
    """Return the number of one series of a node; it belongs to no project."""
    return fingerprint("", host, metric, label)


def series_fingerprints(
    project: str, run_id: str, metrics: tuple[str, ...], label: str
) -> NDArray[np.uint64]:
    """Return ``series_fingerprint`` for each of ``metrics``: shape (len(metrics),)."""
    head = hashlib.blake2b(f"{project}\0{run_id}\0".encode("utf-8", "surrogatepass"), digest_size=8)
    tail = f"\0{label}".encode("utf-8", "surrogatepass")
    digests = bytearray()
    for metric in metrics:
        digest = head.copy()
        digest.update(metric.encode("utf-8", "surrogatepass") + tail)
        digests += digest.digest()
    return np.frombuffer(bytes(digests), dtype="<u8")
