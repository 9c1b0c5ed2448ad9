"""How a version is created: the catalog's rows and the blob store's files, in a safe order.

begin    row (pending), then the manifest, then a look at its blobs
commit   a look at the blobs, then the row
end      row (failed, deleted, same), then the manifest goes

A hub that is killed between two of these leaves a row with its manifest, or a row that says that
its manifest may be deleted (`clear`). It never leaves a manifest without a row: no collector would
delete that manifest's blobs.
"""

import asyncio
import time
from functools import partial
from typing import Any, Final

from stepwell_hub.artifacts.answers import Begun, Version
from stepwell_hub.artifacts.manifests import MISSING_SHOWN_MAX, Look, digest_of, look, read
from stepwell_hub.context import Context
from stepwell_hub.errors import ApiError
from stepwell_wire.errors import ManifestError
from stepwell_wire.manifest import Manifest, blobs_of, parse_manifest

_KEPT: Final = ("pending", "committed")


def checked(data: bytes) -> tuple[Manifest, bytes]:
    """Return a manifest and its packed form.

    Raises:
        ApiError: ``data`` is not a manifest.
    """
    try:
        manifest = parse_manifest(data)
        return manifest, manifest.pack()
    except ManifestError as error:
        raise ApiError(400, "manifest_invalid", str(error), field="manifest") from error


async def begin(context: Context, data: bytes, **facts: Any) -> Begun:
    """Begin a version and say which blobs it waits for.

    Args:
        data: the manifest as JSON.
        facts: of `catalog.artifacts.NewVersion`, less those that the manifest has.

    Raises:
        ApiError: Something about it is invalid.
    """
    from stepwell_hub.catalog import artifacts

    manifest, packed = await asyncio.to_thread(checked, data)
    new = artifacts.NewVersion(
        digest=digest_of(packed), size=manifest.size, file_count=len(manifest.entries), **facts
    )
    version = await context.catalog.do(
        lambda catalog: artifacts.begin(catalog, new, now=time.time())
    )
    if version.state != "pending":
        return Begun(version, (), 0)
    await _in_store(context.blobs.keep_manifest, version.id, packed)
    found = await _look(context, version, manifest.blobs())
    try:
        after = await by_id(context, version.id)
    except ApiError:  # Its project was deleted.
        await _in_store(context.blobs.drop_manifest, version.id)
        raise
    if after.id != version.id or after.state not in _KEPT:
        # It ended meanwhile, and its manifest may have been deleted before this one was kept.
        await _in_store(context.blobs.drop_manifest, version.id)
    return Begun(after, found.missing[:MISSING_SHOWN_MAX], len(found.missing))


async def missing(context: Context, version_id: str) -> Begun:
    """Say which blobs a version waits for."""
    version = await by_id(context, version_id)
    if version.state != "pending":
        return Begun(version, (), 0)
    found = await _look(context, version, await _blobs(context, version))
    return Begun(version, found.missing[:MISSING_SHOWN_MAX], len(found.missing))


async def commit(context: Context, version_id: str, aliases: tuple[str, ...]) -> Version:
    """Commit a version and return the one that stands for it.

    Raises:
        ApiError: Blobs are missing, or it ended otherwise.
    """
    from stepwell_hub.catalog import artifacts

    version = await by_id(context, version_id)
    if version.state == "pending":
        found = await _look(context, version, await _blobs(context, version))
        if found.missing:
            first = ", ".join(found.missing[:3])
            more = f" and {len(found.missing) - 3} more" if len(found.missing) > 3 else ""
            raise ApiError(
                409,
                "blobs_missing",
                f"these blobs are missing in the blob store: {first}{more}; store them and "
                "commit again",
            )
    done = await context.catalog.do(
        lambda catalog: artifacts.commit(catalog, version_id, aliases=aliases, now=time.time())
    )
    if done.id != version_id:
        await _drop(context, version_id)
    return done


async def fail(context: Context, version_id: str, reason: str) -> Version:
    """Mark a pending version as failed."""
    from stepwell_hub.catalog import artifacts

    failed = await context.catalog.do(
        lambda catalog: artifacts.fail(catalog, version_id, reason=reason)
    )
    await _drop(context, version_id)
    return failed


async def delete(context: Context, project: str, name: str, asked: str, *, force: bool) -> None:
    """Delete a version; its blobs go with the next collection, if nothing else names them."""
    from stepwell_hub.catalog import artifacts

    deleted = await context.catalog.do(
        lambda catalog: artifacts.delete(catalog, project, name, asked, force=force)
    )
    await _drop(context, deleted.id)


async def clear(context: Context) -> None:
    """Fail versions that were pending for too long, and drop unneeded manifests."""
    from stepwell_hub.catalog import artifacts

    while ended := await context.catalog.do(partial(artifacts.expire, now=time.time())):
        await _drop(context, *ended)


async def by_id(context: Context, version_id: str) -> Version:
    """Return a version by its id."""
    from stepwell_hub.catalog import artifact_reading

    return await context.catalog.do(
        lambda catalog: artifact_reading.read_by_id(catalog, version_id)
    )


async def _blobs(context: Context, version: Version) -> dict[str, int]:
    """Return the blobs that a version names; its manifest was checked when it began."""
    packed = await asyncio.to_thread(read, context.blobs, version.id, version.digest)
    return await asyncio.to_thread(blobs_of, packed)


async def _look(context: Context, version: Version, wanted: dict[str, int]) -> Look:
    found: Look = await _in_store(look, context.blobs, wanted)
    if found.wrong:
        await fail(context, version.id, f"the manifest is invalid: {found.wrong}")
        raise ApiError(409, "manifest_wrong", f"the manifest is invalid: {found.wrong}")
    return found


async def _drop(context: Context, *version_ids: str) -> None:
    from stepwell_hub.catalog import artifacts

    def drop() -> None:
        for version_id in version_ids:
            context.blobs.drop_manifest(version_id)

    await _in_store(drop)
    await context.catalog.do(lambda catalog: artifacts.note_dropped(catalog, version_ids))


async def _in_store(work: Any, *arguments: Any) -> Any:
    try:
        return await asyncio.to_thread(work, *arguments)
    except OSError as error:
        raise ApiError(503, "blobs_unavailable", f"the blob store: {error}") from error
