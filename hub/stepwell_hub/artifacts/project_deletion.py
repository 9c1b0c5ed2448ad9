"""The deletion of a project: first a note, then the runs are deleted, then the rest.

A deletion that is refused, or fails before anything is deleted, removes its note. A hub that is
killed in between leaves the note. The next check, in any hub, continues the deletion.
"""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from stepwell_hub.artifacts import building
from stepwell_hub.context import Context
from stepwell_hub.errors import ApiError, CatalogUnavailableError
from stepwell_store import Store, StoreError, queries
from stepwell_wire.run_holds import runs_held
from stepwell_wire.run_notes import forget_runs

if TYPE_CHECKING:
    from stepwell_hub.catalog.project_deletion import Deletion

logger = logging.getLogger("stepwell_hub")

CLEAR_SECONDS: Final = 60.0
DELETIONS_SECONDS: Final = 1.0
"""`stepwell rm --project` only notes a deletion: lists show the result soon."""
_REFUSED_SECONDS: Final = 3600.0
"""If its runs still exist after so long, the noted deletion failed."""
_AWAY: Final = (ApiError, CatalogUnavailableError, StoreError)


async def delete_project(context: Context, project: str, *, force: bool) -> None:
    """Delete a project with everything in it.

    Raises:
        RunIsRunningError: Some runs still run, without ``force``; nothing was deleted.
        CatalogUnavailableError: The catalog does not answer; nothing was deleted.
    """
    from stepwell_hub.catalog import project_deletion

    deletion = project_deletion.Deletion(project, time.time())
    noting = partial(project_deletion.ask, project=project, now=deletion.asked_at)
    await context.asker.ask(
        _delete_runs,
        context,
        deletion,
        force=force,
        note=partial(context.catalog.do_from_thread, noting),
    )
    try:
        await _finish(context, deletion)
    except _AWAY as error:
        logger.warning(
            "deleting the rest of a project failed, trying again later project=%s: %s",
            project,
            error,
        )


def _delete_runs(
    store: Store,
    context: Context,
    deletion: "Deletion",
    *,
    force: bool,
    note: Callable[[], object],
    limits: queries.Limits,
) -> None:
    project, journals = deletion.project, context.config.journals_dirs()

    def begin(run_ids: list[str]) -> None:
        note()
        forget_runs(journals, project, run_ids, removed_at=deletion.asked_at)

    with runs_held(context.daemon_socket(), [(project, "")]):
        queries.delete_project(store, project, force=force, begins=begin, limits=limits)


async def clear_at_times(context: Context, *, before_change: bool = False) -> None:
    """Finish noted deletions and clean up pending versions of killed hubs; never fails.

    Args:
        before_change: something is added to a project; its noted deletion is finished first.
    """
    now = time.monotonic()
    try:
        if before_change or now >= context.deletions_seen_at + DELETIONS_SECONDS:
            context.deletions_seen_at = now
            await _go_on(context)
        if now >= context.artifacts_cleared_at + CLEAR_SECONDS:
            context.artifacts_cleared_at = now
            await building.clear(context)
    except _AWAY as error:
        logger.warning("deleting unneeded artifact data failed, trying again later: %s", error)


async def _go_on(context: Context) -> None:
    from stepwell_hub.catalog import project_deletion

    for deletion in await context.catalog.do(project_deletion.unfinished):
        if not await _has_runs(context, deletion):
            await _finish(context, deletion)
        elif time.time() > deletion.asked_at + _REFUSED_SECONDS:
            await context.catalog.do(partial(project_deletion.end, deletion=deletion))


async def _has_runs(context: Context, deletion: "Deletion") -> bool:
    """Return whether runs exist that the deletion would have deleted."""
    page = await context.asker.ask(
        queries.list_runs, deletion.project, sort=("created",), archived=True, limit=1
    )
    return any(
        each.started_at is None or each.started_at <= deletion.asked_at for each in page.items
    )


async def _finish(context: Context, deletion: "Deletion") -> None:
    from stepwell_hub.catalog import project_deletion

    await context.catalog.do(partial(project_deletion.delete_sweeps_and_reports, deletion=deletion))
    await context.catalog.do(partial(project_deletion.delete_artifacts, deletion=deletion))
    await building.clear(context)
    await context.catalog.do(partial(project_deletion.purge, deletion=deletion))
    await context.catalog.do(partial(project_deletion.end, deletion=deletion))
