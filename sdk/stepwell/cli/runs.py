"""`stepwell runs`: the runs of a project or of all, filtered, sorted, with chosen columns."""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from stepwell.cli.ended import RUNNING, gone_without_daemon, print_ended
from stepwell.cli.errors import NOT_FOUND, OK, USAGE, CommandError
from stepwell.cli.options import add_json, add_store, count, places
from stepwell.cli.projects import no_project
from stepwell.cli.reading import reading
from stepwell.cli.run_cells import cell_text
from stepwell.cli.text import (
    count_text,
    json_text,
    moment_text,
    plain,
    seconds_text,
    table_text,
)
from stepwell.cli.unsent import print_unsent

if TYPE_CHECKING:
    from stepwell_store import Store

NO_RUNS: Final = "no runs yet"
_PAGE_RUNS: Final = 1000
_ALWAYS: Final = ("project", "name", "state", "tags")
_FACTS: Final = ("writers", "hosts", "exit_code")
"""Facts of a run that are columns too. A config or summary value of this name comes first."""
_NAME_CHARACTERS_MAX: Final = 80
_CELL_CHARACTERS_MAX: Final = 40
_TAGS_MAX: Final = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--project", metavar="P", help="only runs of this project")
    parser.add_argument(
        "--filter",
        default="",
        metavar="TEXT",
        help='a filter, such as "state:running lr<1e-3 tag:a"',
    )
    parser.add_argument(
        "--sort",
        metavar="PATHS",
        help="sort by these, separated by commas; --sort=-PATH reverses the order",
    )
    parser.add_argument(
        "--columns", default="", metavar="PATHS", help="values to show, separated by commas"
    )
    parser.add_argument(
        "--group-by",
        default="",
        metavar="PATHS",
        help="list groups of runs with equal values; --columns gets count, mean, min and max",
    )
    parser.add_argument(
        "--limit", type=count, default=50, metavar="N", help="list at most N; default 50; 0: all"
    )
    parser.add_argument("--cursor", metavar="C", help="continue a list that printed this cursor")
    parser.add_argument(
        "--archived",
        action="store_true",
        help="include archived runs; a filter that names archived does so too",
    )
    add_json(parser)
    add_store(parser)


def run(options: argparse.Namespace) -> int:
    columns = _paths(options.columns)
    shared = _paths(options.group_by)
    if options.group_by and not shared:
        raise CommandError(f"--group-by {options.group_by!r} contains no path", USAGE)
    if shared and options.cursor is not None:
        raise CommandError(
            "--cursor and --group-by cannot be combined: groups are made of all runs", USAGE
        )
    where = places(options)
    now = time.time()
    with reading(where) as store:
        if shared:
            found, following = _read_all(store, options, (*shared, *columns)), None
        else:
            found, following = read_runs(store, options, columns, now=now)
        if found and shared:
            _check_shared(store, options.project, shared)
        _hint_paths(store, options, found)
        if not found and options.project is not None:
            _check_project(store, options.project)
        if not found and options.filter:
            _hint_filter(store, options)
        archived = 0 if found or options.archived else _count_archived(store, options)
        running = {(run["project"], run["run_id"]) for run in found if run["state"] == RUNNING}
        gone = gone_without_daemon(where, store, running)
    print_unsent(where, options.project or "")
    print_ended(where, running, gone)
    if archived:
        are = "1 archived run is" if archived == 1 else f"{count_text(archived)} archived runs are"
        print(f"stepwell: {are} not shown; --archived shows them", file=sys.stderr)
    if not found and (options.filter or archived) and not options.json:
        return OK
    if shared:
        return _print_groups(found, options, shared, columns)
    print(json_text(found) if options.json else runs_text(found, columns, now=now))
    if following is not None:
        print(f"stepwell: more runs follow: --cursor {following}", file=sys.stderr)
    return OK


def _read_all(
    store: "Store", options: argparse.Namespace, columns: Sequence[str]
) -> list[dict[str, Any]]:
    """Return every run that the filter finds; the order does not matter to groups."""
    asked = argparse.Namespace(**{**vars(options), "limit": 0, "sort": None})
    return read_runs(store, asked, tuple(dict.fromkeys(columns)), as_compared=True)[0]


def _print_groups(
    found: Sequence[Mapping[str, Any]],
    options: argparse.Namespace,
    shared: Sequence[str],
    columns: Sequence[str],
) -> int:
    from stepwell.cli.run_groups import group_runs, groups_text, left_out_text, sorted_groups

    groups = group_runs(found, shared, columns)
    groups = sorted_groups(groups, _paths(options.sort or ""), shared, columns)
    shown = groups[: options.limit or None]
    if options.json:
        print(json_text([each.as_json(shared) for each in shown]))
    else:
        print(groups_text(shown, shared, columns) if shown else NO_RUNS)
    if len(shown) < len(groups):
        print(f"stepwell: {left_out_text(len(groups) - len(shown))}", file=sys.stderr)
    return OK


def read_runs(
    store: "Store",
    options: argparse.Namespace,
    columns: Sequence[str],
    *,
    as_compared: bool = False,
    now: float | None = None,
) -> tuple[list[dict[str, Any]], str | None]:
    """Return the runs as dicts, and the cursor of the next page, if any.

    Args:
        as_compared: columns have the values that filters and sorts compare.
        now: where the durations of running runs end; default the clock's.
    """
    from stepwell_store.queries import list_runs

    found: list[dict[str, Any]] = []
    cursor = options.cursor
    while True:
        left = options.limit - len(found) if options.limit > 0 else _PAGE_RUNS
        page = list_runs(
            store,
            options.project,
            filter=options.filter,
            sort=_paths(options.sort or "-created"),
            columns=columns,
            limit=min(left, _PAGE_RUNS),
            cursor=cursor,
            archived=options.archived,
            as_compared=as_compared,
            now=now,
        )
        found += [asdict(each) for each in page.items]
        cursor = page.next_cursor
        if cursor is None or len(found) == options.limit:
            return found, cursor


def _paths(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (each.strip() for each in text.split(","))))


def _hint_paths(
    store: "Store", options: argparse.Namespace, found: Sequence[Mapping[str, Any]]
) -> None:
    """Print the paths of ``--sort`` and ``--columns`` that no run has."""
    from stepwell_store.queries import path_hints

    # Groups are sorted by their shared values and columns.
    sort = () if options.group_by else _paths(options.sort or "")
    facts = () if options.group_by else _FACTS
    named = (*sort, *(each for each in _paths(options.columns) if each not in facts))
    paths = [each.lstrip("+-") for each in named]
    if found and paths:
        for hint in path_hints(store, options.project, list(dict.fromkeys(paths))):
            print(f"stepwell: {hint}", file=sys.stderr)


def _check_shared(store: "Store", project: str | None, shared: Sequence[str]) -> None:
    """Raise if no run has a path of ``--group-by``: all runs would be one group."""
    from stepwell_store.queries import path_hints

    hints = path_hints(store, project, shared)
    if hints:
        raise CommandError(f"--group-by: {'. '.join(hints)}", NOT_FOUND)


def _hint_filter(store: "Store", options: argparse.Namespace) -> None:
    """Print that the filter finds none of the runs, and its names that no run has."""
    from stepwell_store.queries import filter_hints, list_runs
    from stepwell_store.queries.filter import parse_filter
    from stepwell_store.queries.runs import names_archived

    archived = options.archived or names_archived(parse_filter(options.filter))
    page = list_runs(store, options.project, archived=archived, limit=_PAGE_RUNS)
    count = len(page.items) if page.total is None else page.total
    at_least = "at least " * (page.total is None and page.next_cursor is not None)
    noun = "run" if count == 1 else "runs"
    print(
        f"stepwell: the filter matches none of {at_least}{count_text(count)} {noun}",
        file=sys.stderr,
    )
    for hint in filter_hints(store, options.project, options.filter):
        print(f"stepwell: {hint}", file=sys.stderr)


def _count_archived(store: "Store", options: argparse.Namespace) -> int:
    """Return how many archived runs the filter finds, up to a page of them."""
    from stepwell_store.queries import list_runs

    found = list_runs(
        store, options.project, filter=options.filter or "", archived=True, limit=_PAGE_RUNS
    )
    return len(found.items)


def _check_project(store: "Store", project: str) -> None:
    """Raise if there is no ``project`` of this name."""
    from stepwell_store.queries import list_runs

    if not list_runs(store, project, archived=True, limit=1).items:
        raise no_project(store, project)


def runs_text(found: list[dict[str, Any]], columns: Sequence[str] = (), *, now: float) -> str:
    """Return the table of runs for a person. Columns that it always has are not repeated."""
    if not found:
        return NO_RUNS
    own = {name for each in found for name in each["columns"]}
    shown = _ALWAYS if "writers" in own else (*_ALWAYS, "writers")
    columns = [column for column in columns if column not in shown]
    rows = [
        [
            plain(each["run_id"]),
            plain(each["project"]),
            _cut(plain(each["name"]), _NAME_CHARACTERS_MAX),
            plain(each["state"]) + ", archived" * each["archived"],
            moment_text(each["started_at"]),
            seconds_text(duration_seconds(each, now=now)),
            str(each["writers"]),
            _tags_text(each["tags"]),
            *(_cell(_values(each), column) for column in columns),
        ]
        for each in found
    ]
    headers = ["run", "project", "name", "state", "started", "took", "writers", "tags", *columns]
    return table_text(headers, rows, right=(5, 6))


def _values(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a run's columns, and of those facts that are columns too."""
    facts = {name: run[name] for name in _FACTS if run[name] is not None}
    return {**facts, "hosts": ", ".join(run["hosts"]), **run["columns"]}


def _tags_text(tags: Sequence[str]) -> str:
    text = plain(", ".join(tags[:_TAGS_MAX]))
    return text if len(tags) <= _TAGS_MAX else f"{text}, +{len(tags) - _TAGS_MAX} more"


def _cell(values: Mapping[str, Any], column: str) -> str:
    if column not in values:
        return ""
    return _cut(cell_text(column, values[column]), _CELL_CHARACTERS_MAX)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def duration_seconds(overview: Mapping[str, Any], *, now: float) -> float | None:
    """Return how long a run took, or has taken so far."""
    started = overview["started_at"]
    is_running = overview["state"] == "running"
    ended = now if is_running else overview["ended_at"] or overview["last_seen"]
    if started is None or ended is None:
        return None
    return max(0.0, float(ended - started))
