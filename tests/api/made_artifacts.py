"""Versions of artifacts, made through the hub as a daemon makes them."""

import json
from collections.abc import Mapping
from typing import Any

from blake3 import blake3

from stepwell._hub_client import Hub
from stepwell_wire.manifest import Entry, Manifest
from stepwell_wire.staged import new_id
from tests.api.conftest import World
from tests.blobs import put_blob

FILES: dict[str, bytes] = {
    "a.txt": b"hello",
    "empty": b"",
    "sub/ü b.bin": bytes(range(256)) * 20_000,
    "sub/deep/same.txt": b"hello",
}


def digest(content: bytes) -> str:
    return blake3(content).hexdigest()


def client(world: World, **options: Any) -> Hub:
    return Hub(world.url, world.key, **options)


def manifest_of(files: Mapping[str, bytes], **more: Entry) -> Manifest:
    entries = {path: Entry(digest(content), len(content)) for path, content in files.items()}
    return Manifest(entries | more)


def make_version(
    world: World,
    project: str,
    name: str = "data",
    files: Mapping[str, bytes] = FILES,
    *aliases: str,
    references: Mapping[str, Entry] | None = None,
    **facts: Any,
) -> dict[str, Any]:
    """Commit a version and return the hub's answer of it."""
    hub = client(world)
    for content in files.values():
        put_blob(world.context.blobs, content)
    manifest = json.loads(manifest_of(files, **(references or {})).pack())
    body = {"key": new_id(), "name": name, "type": "dataset", "manifest": manifest} | facts
    begun = hub.ask("POST", "projects", project, "artifacts", body=body)
    committed: dict[str, Any] = hub.post(
        f"/artifact-versions/{begun['version']['id']}/commit", {"aliases": aliases}
    )
    return committed
