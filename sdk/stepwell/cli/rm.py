"""`stepwell rm RUN…`: deletes runs, or whole projects, for good, from every table."""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stepwell.cli.confirming import agrees
from stepwell.cli.daemon_client import DaemonClient, socket_of_data
from stepwell.cli.errors import FAILED, OK, USAGE, CommandError
from stepwell.cli.extras import missing_for_daemon, missing_for_hub
from stepwell.cli.options import Places, add_store, places
from stepwell.cli.projects import no_project
from stepwell.cli.reading import by_configuration, configuration, reading
from stepwell.cli.text import count_text, counted, first_names, plain
from stepwell.cli.unsent import print_returning
from stepwell_wire.commands import shell_word
from stepwell_wire.hub_access import STATE_FILE, hub_dir
from stepwell_wire.run_holds import runs_held
from stepwell_wire.run_notes import forget_runs

if TYPE_CHECKING:
    from stepwell_hub.catalog.catalog import Catalog
    from stepwell_store import Store
    from stepwell_store.queries import RunRef

_CATALOG: Final = "catalog.db"
_SWEEP_SECONDS: Final = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "references", nargs="*", metavar="RUN", help="id or name of a run, or PROJECT/RUN"
    )
    parser.add_argument(
        "--project",
        action="append",
        default=[],
        metavar="P",
        help="delete this project with its runs, artifacts, sweeps and reports; can be repeated",
    )
    parser.add_argument(
        "--orphans",
        action="store_true",
        help="delete points whose series has no name; `stepwell doctor` counts them",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--force",
        action="store_true",
        help="also delete running runs, and the rows that they send later",
    )
    add_store(parser)


def run(options: argparse.Namespace) -> int:
    if not options.references and not options.project and not options.orphans:
        raise CommandError("no runs given; expected RUN, --project or --orphans", USAGE)
    if options.references and options.project:
        project, reference = options.project[0], options.references[0]
        raise CommandError(
            f"--project {project} deletes the whole project, so it cannot be combined with runs; "
            f"for one run of it give {shell_word(f'{project}/{reference}')}",
            USAGE,
        )
    if options.orphans and (options.references or options.project):
        raise CommandError(
            "--orphans cannot be combined with runs or --project; delete those first", USAGE
        )
    where = by_configuration(places(options))
    with reading(where) as store:
        from stepwell_store import queries

        if options.orphans:
            return _remove_orphans(store, ask=not options.yes)
        # All names first: a wrong one deletes nothing.
        found = list(dict.fromkeys(queries.find_run(store, each) for each in options.references))
        data = _data_of(store, where)
        elsewhere = _catalog_elsewhere(store, where, data)
        running = _check(store, data, found, options.project, force=options.force)
        names = [
            *map(str, found),
            *(f"{project} (all of it)" for project in options.project),
        ]
        if not options.yes and not _agrees(names):
            print("nothing was deleted", file=sys.stderr)
            return FAILED
        run_ids: dict[str, list[str]] = {}
        for ref in found:
            run_ids.setdefault(ref.project, []).append(ref.run_id)
        _check_spool(store, found, options.project)
        journals = (where.journals,)
        socket = _socket_of(store, where)
        held = [(ref.project, ref.run_id) for ref in found]
        held += [(project, "") for project in options.project]

        def forget(project: str, ids: Sequence[str]) -> None:
            """Before rows are deleted: the notes of a run that begins meanwhile are kept."""
            forget_runs(journals, project, ids, removed_at=removed_at)

        def forget_all() -> None:
            for project, ids in run_ids.items():
                forget(project, ids)

        # A script that starts a deleted run again at this moment starts a new run.
        removed_at = time.time()
        with runs_held(socket, held):
            queries.delete_runs(store, run_ids, force=options.force, begins=forget_all)
            for ref in found:
                print(f"deleted {ref}")
            for project in options.project:

                def begin(ids: list[str], project: str = project) -> None:
                    _notify_hub(data, project)
                    forget(project, ids)

                queries.delete_project(store, project, force=options.force, begins=begin)
                print(f"deleted project {project}")
                if elsewhere:
                    print(
                        f"stepwell: reports, sweeps and artifacts of {project} remain: their "
                        f"catalog is {elsewhere}; delete them with "
                        f"stepwell.Api().project({project!r}).delete()",
                        file=sys.stderr,
                    )
            if running:
                _sweep(socket, running)
        for ref in found:
            print_returning(where, ref.project, ref.run_id)
        for project in options.project:
            print_returning(where, project)
    return OK


def _data_of(store: "Store", where: Places) -> Path:
    """Return the data folder whose hub has the catalog."""
    from stepwell_store import EmbeddedStore

    return store.data_dir if isinstance(store, EmbeddedStore) else where.data


def _catalog_elsewhere(store: "Store", where: Places, data: Path) -> str:
    """Return where the catalog is, if it is known to be outside of ``data``; else ""."""
    from stepwell_store import EmbeddedStore

    config = configuration(where)
    if config is not None and config.hub_catalog:
        return "in PostgreSQL"
    with suppress(OSError, ValueError, AttributeError):
        if json.loads((hub_dir(data) / STATE_FILE).read_bytes()).get("has_own_catalog") is False:
            return "in PostgreSQL"
    return "" if isinstance(store, EmbeddedStore) else "that of the hub over the servers"


def _socket_of(store: "Store", where: Places) -> Path | None:
    """Return the socket of this machine's daemon that stores into ``store``; None without one."""
    from stepwell_store import EmbeddedStore

    return socket_of_data(store.data_dir) if isinstance(store, EmbeddedStore) else where.socket


def _sweep(socket: Path | None, running: Iterable[str]) -> None:
    """Have this machine's daemon drop the rest of running runs, so that their ids are free.

    Args:
        running: PROJECT/RUN of the deleted runs that were running.
    """
    if socket is None:
        return
    references = set(running)
    try:
        with DaemonClient(socket) as daemon:
            waiting = references.intersection(daemon.sweep_removed(_SWEEP_SECONDS))
    except CommandError:
        waiting = references  # Another daemon may have them, or it is of an older release.
    if waiting:
        print(
            f"stepwell: {first_names(sorted(waiting))}: the daemons of the running processes "
            "delete their last rows within some minutes; use these ids again after that",
            file=sys.stderr,
        )


@contextmanager
def _catalog(data: Path, project: str) -> Iterator["Catalog | None"]:
    """Open the catalog of the folder's hub; None without one.

    Raises:
        CommandError: It cannot be used; the message says that ``project`` was not deleted.
    """
    folder = hub_dir(data)
    if not (folder / _CATALOG).exists() or missing_for_hub():
        yield None
        return
    from stepwell_hub.catalog.catalog import open_catalog
    from stepwell_hub.errors import CatalogUnavailableError

    catalog = open_catalog(folder)
    try:
        yield catalog
    except CatalogUnavailableError as error:
        raise CommandError(f"{error}; project {project} was not deleted") from error
    finally:
        catalog.close()


def _notify_hub(data: Path, project: str) -> None:
    """Note in the hub's catalog that a project is deleted: its hub deletes the rest."""
    with _catalog(data, project) as catalog:
        if catalog is None:
            return
        from stepwell_hub.catalog import project_deletion

        project_deletion.ask(catalog, project, now=time.time())


def _hub_knows(data: Path, project: str) -> bool:
    """Return whether the hub has a sweep, a report, a view or an artifact of ``project``."""
    with _catalog(data, project) as catalog:
        if catalog is None:
            return False
        from stepwell_hub.catalog import projects

        return projects.is_known(catalog, project)


def _remove_orphans(store: "Store", *, ask: bool) -> int:
    from stepwell_store.deletion import find_orphans, remove_orphans

    found = find_orphans(store)
    what = (
        f"{count_text(found.points)} of {counted(found.all_points, 'point')}, of "
        f"{count_text(found.series)} series without a name"
    )
    if ask and found.points and not _agrees([what]):
        print("nothing was deleted", file=sys.stderr)
        return FAILED
    remove_orphans(store)  # Also statistics that are left without points.
    print(f"deleted {what}")
    return OK


def _check(
    store: "Store", data: Path, found: "list[RunRef]", projects: list[str], *, force: bool
) -> list[str]:
    """Return the running runs of these.

    Raises:
        CommandError: A project does not exist; or a run is running, without ``force``.
    """
    from stepwell_store import queries

    running = []
    for ref in found:
        if queries.get_run(store, ref.project, ref.run_id).state == "running":
            running.append(str(ref))
    for project in projects:
        has_runs = bool(queries.list_runs(store, project, archived=True, limit=1).items)
        if not has_runs and not _hub_knows(data, project):
            raise no_project(store, project)
        page = queries.list_runs(store, project, filter="state:running", archived=True)
        running += [str(each.ref) for each in page.items]
    if running and not force:
        raise CommandError(
            f"still running: {first_names(running)}; nothing was deleted. Finish them "
            "first, or add --force to also delete the rows that they send later",
            USAGE,
        )
    return running


def _check_spool(store: "Store", found: "list[RunRef]", projects: list[str]) -> None:
    """Raise if rows of a run wait for a stopped daemon: the run would come back."""
    from stepwell_store import EmbeddedStore

    if not isinstance(store, EmbeddedStore) or store.engine_pid is None or missing_for_daemon():
        return  # A running daemon stored its spool before this command read it.
    spool = store.data_dir / "spool"
    if not spool.is_dir():
        return
    from stepwell_daemon.spool.inspection import verify_spool

    try:
        report = verify_spool(spool)
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}; nothing was deleted") from error
    if not report.waiting_bytes:
        return
    references = {(each.project, each.run_id) for each in found}
    waiting = sorted(
        f"{each.project}/{each.run_id}"
        for each in report.writers
        if each.project in projects or (each.project, each.run_id) in references
    )
    if waiting:
        raise CommandError(
            f"the spool in {spool} may contain unstored rows of {first_names(waiting)}, "
            "and no daemon runs; nothing was deleted. Run `stepwell up`, then delete",
            FAILED,
        )


def _agrees(names: list[str]) -> bool:
    noun = "this" if len(names) == 1 else f"these {len(names)}"
    return agrees("\n".join([*map(plain, names), f"delete {noun} permanently?"]))
