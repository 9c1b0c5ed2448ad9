"""`stepwell runs --group-by PATHS`: runs that share values, and statistics of their columns.

For each column a group has the number of runs with a number, and mean, minimum and maximum of the
finite ones. Pure functions over the runs of `list_runs`.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from stepwell.cli.errors import USAGE, CommandError
from stepwell.cli.run_cells import cell_text
from stepwell.cli.text import counted, table_text
from stepwell_store.attributes import value_key

STATISTICS: Final = ("count", "mean", "min", "max")
RUNS: Final = "runs"
_SORTS: Final = f"{RUNS}, one of --group-by, COLUMN or COLUMN:{'|'.join(STATISTICS)}"


class Group(NamedTuple):
    """Runs that share values.

    Attributes:
        values: the shared values, by path; a path that the runs lack is missing.
        columns: by path the statistics; mean, min and max are None without a finite number.
    """

    values: dict[str, Any]
    runs: int
    columns: dict[str, dict[str, float | None]]

    def as_json(self, paths: Sequence[str]) -> dict[str, Any]:
        """Return the group in the form of ``runs --group-by --json``."""
        group = {path: self.values.get(path) for path in paths}
        return {"group": group, "runs": self.runs, "columns": self.columns}


def group_runs(
    runs: Iterable[Mapping[str, Any]], paths: Sequence[str], columns: Sequence[str]
) -> list[Group]:
    """Return the groups of ``runs``, each of which has the values of ``paths`` and ``columns``."""
    members: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for run in runs:
        held = run["columns"]
        key = tuple(value_key(held.get(path)) for path in paths)
        members.setdefault(key, []).append(held)
    return [
        Group(
            {path: inside[0][path] for path in paths if inside[0].get(path) is not None},
            len(inside),
            {column: _statistics(inside, column) for column in columns},
        )
        for inside in members.values()
    ]


def sorted_groups(
    groups: Sequence[Group], sort: Sequence[str], paths: Sequence[str], columns: Sequence[str]
) -> list[Group]:
    """Return ``groups`` in order; without ``sort``, by their shared values.

    Groups without the value come last either way, texts after numbers.

    Raises:
        CommandError: A group has no key of ``sort``.
    """
    found = list(groups)
    for key in reversed(sort or paths):
        path, is_reversed = key.lstrip("+-"), key[:1] == "-"
        column, _, statistic = path.rpartition(":")
        if path in paths or path == RUNS:
            values = [each.runs if path == RUNS else each.values.get(path) for each in found]
        elif path in columns:
            values = [each.columns[path]["mean"] for each in found]
        elif column in columns and statistic in STATISTICS:
            values = [each.columns[column][statistic] for each in found]
        else:
            raise CommandError(_unsortable(path, columns), USAGE)
        found = _in_order(found, values, is_reversed=is_reversed)
    return found


def _unsortable(path: str, columns: Sequence[str]) -> str:
    """Return why groups cannot be sorted by ``path``, with a hint if it may be a column."""
    head, _, statistic = path.rpartition(":")
    column = head if statistic in STATISTICS else path
    remedy = (
        "" if head in columns else f"; for {column}, add --columns {','.join([*columns, column])}"
    )
    return f"--sort {path}: groups are sorted by {_SORTS}{remedy}"


def groups_text(groups: Sequence[Group], paths: Sequence[str], columns: Sequence[str]) -> str:
    """Return the table of groups for a person."""
    names = [_names(groups, path) for path in paths]
    rows = [
        [
            *(of_path[at] for of_path in names),
            str(each.runs),
            *(
                _statistic_text(column, name, each.columns[column][name])
                for column in columns
                for name in STATISTICS
            ),
        ]
        for at, each in enumerate(groups)
    ]
    headers = [*paths, RUNS, *(f"{column}:{name}" for column in columns for name in STATISTICS)]
    return table_text(headers, rows, right=range(len(paths), len(headers)))


def left_out_text(count: int) -> str:
    return f"{counted(count, 'more group')}; --limit 0 shows all"


def _names(groups: Sequence[Group], path: str) -> list[str]:
    """Return the text of each group's value; of different values different ones.

    Where two would look the same, texts are in quotes, and numbers have all digits.
    """
    values = [each.values.get(path) for each in groups]
    texts = ["-" if value is None else cell_text(path, value) for value in values]
    kinds: dict[str, set[str]] = {}
    for value, text in zip(values, texts, strict=True):
        kinds.setdefault(text, set()).add(value_key(value))
    return [
        _name(value, text, is_shared=len(kinds[text]) > 1)
        for value, text in zip(values, texts, strict=True)
    ]


def _name(value: Any, text: str, *, is_shared: bool) -> str:
    if isinstance(value, str):
        is_quoted = is_shared or not value.strip() or value.startswith('"')
        return json.dumps(value, ensure_ascii=False) if is_quoted else text
    return repr(value) if is_shared and isinstance(value, float) else text


def _statistics(members: Sequence[Mapping[str, Any]], column: str) -> dict[str, float | None]:
    numbers = [
        float(value)
        for value in (each.get(column) for each in members)
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    finite = list(filter(math.isfinite, numbers))
    if not finite:
        return {"count": len(numbers), "mean": None, "min": None, "max": None}
    mean = math.fsum(each / len(finite) for each in finite)  # A sum of large ones overflows.
    return {"count": len(numbers), "mean": mean, "min": min(finite), "max": max(finite)}


def _in_order(groups: list[Group], values: Sequence[Any], *, is_reversed: bool) -> list[Group]:
    """Return ``groups`` by their ``values``; stable, so that the order by other keys stays."""
    pairs = list(zip(groups, values, strict=True))
    missing = [pair for pair in pairs if pair[1] is None or pair[1] != pair[1]]  # NaN has no place.
    there = [pair for pair in pairs if pair[1] is not None and pair[1] == pair[1]]
    numbers = [pair for pair in there if isinstance(pair[1], int | float)]
    numbers.sort(key=lambda pair: pair[1], reverse=is_reversed)
    texts = [pair for pair in there if not isinstance(pair[1], int | float)]
    texts.sort(key=lambda pair: value_key(pair[1]), reverse=is_reversed)
    return [group for group, _ in (*numbers, *texts, *missing)]


def _statistic_text(column: str, statistic: str, value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if statistic == "count" else cell_text(column, float(value))
