"""`stepwell export`: the history of a run or of a project as csv, jsonl or parquet.

Rows are fetched in windows of steps and written as they come, so that a long history needs no
more memory than a short one. The file takes its name when it is complete.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from stepwell.cli.errors import NOT_FOUND, OK, USAGE, CommandError
from stepwell.cli.gaps import doubt_text, gaps_of, missing_text
from stepwell.cli.options import add_store, places
from stepwell.cli.output import binary_stdout, format_by_ending, replaced_file
from stepwell.cli.projects import nearest_projects, no_project
from stepwell.cli.reading import reading
from stepwell.cli.rows import FORMATS, HistoryColumn, OwnColumns, row_writer
from stepwell.cli.text import counted, first_names
from stepwell.cli.unsent import print_unsent

if TYPE_CHECKING:
    from stepwell_store import Store
    from stepwell_store.queries import RunRef
    from stepwell_store.queries.history import Labels


class ExportTarget(NamedTuple):
    """The runs to export: one run, or every run of a project."""

    project: str
    run_ids: list[str]
    is_project: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="RUN|PROJECT/RUN|PROJECT")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        help="the file; its ending sets the format; - for stdout",
    )
    parser.add_argument(
        "--format", choices=FORMATS, help="default: by the ending of FILE; jsonl for stdout"
    )
    parser.add_argument(
        "--metric", action="append", metavar="NAME", help="only this metric; can be repeated"
    )
    parser.add_argument(
        "--join",
        action="store_true",
        help="one row for each step; of a metric of several ranks, the later value",
    )
    add_store(parser)


def run(options: argparse.Namespace) -> int:
    format_name = format_of(options.output, options.format)
    to_stdout = options.output == "-"
    if to_stdout and format_name == "parquet" and sys.stdout.isatty():
        raise CommandError(
            "parquet is binary and cannot be shown on a terminal; give a file with -o", USAGE
        )
    where = places(options)
    with reading(where) as store:
        target = find_target(store, options.reference)
        columns = columns_of(store, target, options.metric)
        with_labels = not options.join and has_several_labels(store, target)
        opened: AbstractContextManager[BinaryIO] = (
            binary_stdout() if to_stdout else replaced_file(options.output)
        )
        count = 0
        with opened as file:
            own = OwnColumns(run=target.is_project, label=with_labels)
            writer = row_writer(format_name, file, columns, own)
            metrics = [column.metric for column in columns]
            for row in rows_of(store, target, metrics, with_labels=with_labels):
                writer.write(row)
                count += 1
            writer.close()
        gaps = gaps_of(store, target.project, target.run_ids)
    asked = target.project if target.is_project else f"{target.project}/{target.run_ids[0]}"
    print_unsent(where, asked)
    runs = len({gap["run_id"] for gap in gaps})
    if missing := missing_text(gaps):
        print(
            f"stepwell: {missing} of {counted(runs, 'run')} are missing, they were dropped "
            "or damaged before they were stored; see `stepwell show RUN`",
            file=sys.stderr,
        )
    if doubt := doubt_text(gaps):
        print(f"stepwell: {doubt}; see `stepwell show RUN`", file=sys.stderr)
    if not to_stdout:
        print(f"{counted(count, 'row')} in {options.output}", file=sys.stderr)
    return OK


def format_of(output: str, chosen: str | None) -> str:
    """Return the chosen format, or that of the file's ending."""
    if chosen:
        return chosen
    if output == "-":
        return "jsonl"
    return format_by_ending(output, FORMATS)


def find_target(store: "Store", reference: str) -> ExportTarget:
    """Return the runs of ``reference``; ``PROJECT/`` can only be a project.

    Raises:
        RunNotFoundError: Neither a run nor a project has this name.
        CommandError: A run and a project have this name.
    """
    from stepwell_store.errors import RunNotFoundError
    from stepwell_store.queries import find_run, logged_runs

    project = reference.removesuffix("/")
    run_ids = logged_runs(store, project)
    if reference.endswith("/"):
        if not run_ids:
            raise no_project(store, project)
        return ExportTarget(project, run_ids, True)
    try:
        ref: RunRef = find_run(store, reference)
    except RunNotFoundError:
        if not run_ids:
            if "/" not in reference and (nearest := nearest_projects(store, reference)):
                raise CommandError(
                    f"no run and no project has the name {reference!r}; did you mean the project "
                    f"{' or '.join(map(repr, nearest))}?",
                    NOT_FOUND,
                ) from None
            raise
        return ExportTarget(project, run_ids, True)
    if run_ids:
        raise CommandError(
            f"a run and a project have the name {reference!r}; use {ref} or {project}/", USAGE
        )
    return ExportTarget(ref.project, [ref.run_id], False)


def columns_of(
    store: "Store", target: ExportTarget, wanted: list[str] | None
) -> list[HistoryColumn]:
    """Return the metrics that the history has, by name.

    Raises:
        CommandError: A requested metric does not exist.
    """
    from stepwell_store.queries import column_name, logged_metrics

    found = {
        each.metric: HistoryColumn(
            column_name(each.metric), each.metric, floats_only=not each.has_others
        )
        for each in logged_metrics(store, target.project, target.run_ids)
    }
    if wanted is None:
        return list(found.values())
    for name in wanted:
        if name not in found:
            raise CommandError(f"no metric {name!r}{_metrics_hint(name, list(found))}", NOT_FOUND)
    return [found[name] for name in dict.fromkeys(wanted)]


def _metrics_hint(name: str, known: list[str]) -> str:
    """Return the end of a sentence: the metrics that are similar, else the first ones."""
    from stepwell.api._names import nearest

    hint = nearest(name, known)
    return hint or f"; logged metrics are {first_names(known) or 'none'}"


def has_several_labels(store: "Store", target: ExportTarget) -> bool:
    """Return whether more than one writer logged in any of the runs."""
    from stepwell_store.queries import runs_with_several_labels

    return bool(runs_with_several_labels(store, target.project, target.run_ids))


def rows_of(
    store: "Store", target: ExportTarget, metrics: list[str], *, with_labels: bool
) -> Iterator[dict[str, Any]]:
    """Yield the rows, run by run; rows of a project begin with ``_run``."""
    from stepwell_store.queries import history

    labels: Labels = "apart" if with_labels else "join"
    # The columns are fixed: metrics that are new from now on are left out.
    for run_id in target.run_ids:
        for row in history(store, target.project, run_id, metrics=metrics, labels=labels):
            yield {"_run": run_id, **row} if target.is_project else row
