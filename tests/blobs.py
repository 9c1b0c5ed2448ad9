"""Contents put into a blob store, as a daemon's worker puts them."""

import tempfile
from pathlib import Path

from blake3 import blake3

from stepwell_store.blob_store import BlobStore


def put_blob(blobs: BlobStore, content: bytes) -> str:
    """Keep ``content`` in ``blobs``; return its digest."""
    digest = blake3(content).hexdigest()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        source.write_bytes(content)
        blobs.put(digest, source)
    return digest
