"""Tells the artifacts of a deleted run from those of a later run with the same id.

The catalog knows runs by their ids. The store knows when a run with an id was last deleted. What
the catalog noted before that moment is of the deleted run.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from stepwell_hub.artifacts.answers import Kind, Lineage, Version, VersionsPage
from stepwell_hub.artifacts.run_titles import with_run_titles
from stepwell_hub.context import Context
from stepwell_hub.errors import ApiError
from stepwell_store import StoreError, queries


async def list_run_versions(
    context: Context, project: str, run_id: str, *, kind: Kind, limit: int, cursor: str | None
) -> VersionsPage:
    """Return the versions that a run logged or used; see the function of the catalog.

    Raises:
        StoreError, ApiError: The store does not answer, or is busy; the cursor is invalid.
    """
    from stepwell_hub.catalog import artifact_reading

    key = (project, run_id)
    removed: dict[tuple[str, str], float] = await context.asker.ask(queries.removed_at, [key])
    page = await context.catalog.do(
        lambda catalog: artifact_reading.list_run_versions(
            catalog,
            project,
            run_id,
            kind=kind,
            limit=limit,
            cursor=cursor,
            since=removed.get(key, 0.0),
        )
    )
    return replace(page, versions=await without_former(context, page.versions))


async def read_lineage(
    context: Context,
    project: str,
    name: str,
    asked: str,
    *,
    depth: int,
    limit: int,
    is_direct: bool,
) -> Lineage:
    """Return the lineage of a version. Its runs have their names and states.

    Raises:
        StoreError, ApiError: The store does not answer, or is busy; there is no such version.
    """
    from stepwell_hub.catalog import artifact_lineage

    known: dict[tuple[str, str], float] = {}
    looked: set[tuple[str, str]] = set()
    while True:
        walk = partial(
            artifact_lineage.read_lineage,
            project=project,
            name=name,
            asked=asked,
            depth=depth,
            limit=limit,
            is_direct=is_direct,
            removed=dict(known),
        )
        lineage = await context.catalog.do(walk)
        runs = {(node.project, node.name) for node in lineage.nodes if node.kind == "run"} - looked
        looked |= runs
        removed = await context.asker.ask(queries.removed_at, sorted(runs))
        # The next walk separates these runs, so it may reach other runs within its limits.
        if not removed:
            return await with_run_titles(context.asker, lineage)
        known |= removed


async def without_former(context: Context, versions: Sequence[Version]) -> tuple[Version, ...]:
    """Return ``versions``. Where a deleted run logged one, ``run_id`` is "".

    If the store does not answer, they stay as they are: the files of a version do not need it.
    """
    from stepwell_hub.catalog import artifact_reading

    runs = sorted({(each.project, each.run_id) for each in versions if each.run_id})
    try:
        removed = await context.asker.ask(queries.removed_at, runs)
    except (StoreError, ApiError):
        return tuple(versions)
    held = [each for each in versions if (each.project, each.run_id) in removed]
    if not held:
        return tuple(versions)
    logged = await context.catalog.do(lambda catalog: artifact_reading.logged_at(catalog, held))
    former = {
        each.id for each in held if logged.get(each.id, 0.0) < removed[(each.project, each.run_id)]
    }
    return tuple(replace(each, run_id="") if each.id in former else each for each in versions)
