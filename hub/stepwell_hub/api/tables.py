"""Tables: rows of one, filtered, sorted and by pages; facts of its columns; the whole as a file."""

import asyncio
import itertools
import json
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from msgspec import Meta
from starlette.responses import Response, StreamingResponse

from stepwell_hub.api.media import with_url
from stepwell_hub.endpoints import Call, Form, endpoint
from stepwell_hub.errors import ApiError
from stepwell_hub.tables.sql import Condition, Order, TableSql, grid_of, quoted
from stepwell_hub.tables.workers import TableWorkers
from stepwell_store import queries
from stepwell_store.queries import MediaItem
from stepwell_wire.staged import is_digest
from stepwell_wire.table_columns import (
    BOOLEAN,
    DATETIME,
    INTEGER,
    MEDIA,
    MIXED,
    NUMBER,
    TableColumn,
)

_PATH: Final = "/projects/{project}/runs/{run_id}/tables/{digest}"
_CHARACTERS_SHOWN: Final = 2000
_COLUMNS_SHOWN_MAX: Final = 200
_CELLS_MAX: Final = 100_000
_CONDITIONS_MAX: Final = 32
_ORDER_MAX: Final = 8
_CHUNK_BYTES: Final = 256 * 1024
_KEPT_MAX: Final = 256
_FORMATS: Final = {
    "csv": ("CSVWithNames", "text/csv; charset=utf-8"),
    "parquet": ("Parquet", "application/vnd.apache.parquet"),
}
_Place = Annotated[int, Meta(ge=0, le=100_000)]
_Value = Annotated[str, Meta(max_length=10_000)] | float | bool | None


class TableCondition(Form):
    """A condition on the values of a column.

    ``value`` is a text, a number, true or false, or a moment as ISO 8601 or in seconds since 1970;
    ``values`` is for ``in``. ``contains`` ignores case; ``matches`` is a regular expression of RE2.
    """

    column: _Place
    op: Literal[
        "eq", "ne", "lt", "le", "gt", "ge", "in", "contains", "not_contains", "matches",
        "is_null", "not_null",
    ]  # fmt: skip
    value: _Value = None
    values: Annotated[tuple[_Value, ...], Meta(max_length=1000)] = ()


class TableOrder(Form):
    column: _Place
    descending: bool = False


class TableForm(Form):
    """Rows that match every condition, in order, from ``offset`` on.

    Columns are numbered from 0. ``columns``: the columns to show; null: the first 200. ``search``:
    a text that at least one text column must contain. Texts are cut after ``characters``.
    ``thin``: consider only so many rows of the table, evenly spread over it.
    """

    filter: Annotated[tuple[TableCondition, ...], Meta(max_length=_CONDITIONS_MAX)] = ()
    search: Annotated[str, Meta(max_length=1000)] = ""
    sort: Annotated[tuple[TableOrder, ...], Meta(max_length=_ORDER_MAX)] = ()
    columns: Annotated[tuple[_Place, ...], Meta(max_length=_COLUMNS_SHOWN_MAX)] | None = None
    offset: Annotated[int, Meta(ge=0, le=2**53)] = 0
    limit: Annotated[int, Meta(ge=0, le=10_000)] = 100
    characters: Annotated[int, Meta(ge=1, le=1_000_000)] = 1000
    thin: Annotated[int, Meta(ge=1, le=100_000)] | None = None


class StatisticsForm(Form):
    column: _Place


class DownloadForm(Form):
    format: Literal["csv", "parquet"] = "csv"


@dataclass(frozen=True, slots=True)
class TableFacts:
    columns: tuple[TableColumn, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class TableRow:
    """``row``: its number in the table, from 0. ``cells``: one for each shown column.

    A cell is null, a number, true or false, seconds since 1970 UTC for a moment, or a text. A text
    that is cut, and each cell of a mixed column, is {"text", "characters", "kind"?}. A medium is as
    in the media of a run.
    """

    row: int
    cells: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class TablePage:
    """``matching``: number of rows that match the conditions; ``columns``: the shown columns."""

    matching: int
    columns: tuple[int, ...]
    rows: tuple[TableRow, ...]


@dataclass(frozen=True, slots=True)
class Common:
    text: str
    count: int


@dataclass(frozen=True, slots=True)
class Bin:
    low: float
    high: float
    count: float


@dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """``distinct`` is an estimate above some thousands. The 20 ``bins`` at most have one width.

    Minimum, maximum, mean and bins are of finite numbers, and of moments in seconds since 1970.
    """

    values: int
    nulls: int
    distinct: int
    minimum: float | None
    maximum: float | None
    mean: float | None
    bins: tuple[Bin, ...]
    common: tuple[Common, ...]


@endpoint("GET", _PATH, answer=TableFacts)
async def get_table(call: Call) -> Any:
    """Get the columns and the number of rows of a table."""
    return (await _opened(call)).facts


@endpoint("POST", _PATH + "/query", body=TableForm, answer=TablePage)
async def query_table(call: Call) -> Any:
    """Filter, sort and page the rows of a table."""
    form: TableForm = call.body
    table = await _opened(call)
    count = len(table.facts.columns)
    shown = tuple(range(min(count, _COLUMNS_SHOWN_MAX))) if form.columns is None else form.columns
    for number, place in enumerate(shown):
        table.sql.check(place, f"columns[{number}]")
    if form.limit * max(1, len(shown)) > _CELLS_MAX:
        message = (
            f"{form.limit} rows of {len(shown)} columns; the maximum is {_CELLS_MAX} cells in "
            "one request"
        )
        raise ApiError(400, "page_too_large", message, field="limit")
    conditions = [Condition(each.column, each.op, each.value, each.values) for each in form.filter]
    where = table.sql.where(conditions, form.search)
    if form.thin is not None:
        where = table.sql.thinned(where, table.facts.rows, form.thin)
    order = [Order(each.column, each.descending) for each in form.sort]
    page = table.sql.page(
        where,
        order,
        shown,
        offset=form.offset,
        limit=form.limit,
        characters=form.characters,
    )
    known = table.facts.rows if where == "1" else table.counts.get(where)
    asked = [page] if known is not None else [page, table.sql.count(where)]
    answers = await _ask(table.workers, asked)
    if known is None:
        known = int(answers[1][0][0])
        _remember(table.counts, where, known)
    kinds = [table.facts.columns[place].type for place in shown]
    rows = [TableRow(line[0], _cells(kinds, line[1:], form.characters)) for line in answers[0]]
    return TablePage(known, shown, tuple(await _with_media(call, kinds, rows)))


@endpoint("GET", _PATH + "/statistics", query=StatisticsForm, answer=ColumnStatistics)
async def get_table_statistics(call: Call) -> Any:
    """Get the statistics of a table's column: range, distribution, most common values."""
    table = await _opened(call)
    place = call.query.column
    table.sql.check(place, "column")
    if place not in table.statistics:
        ((line,),) = await _ask(table.workers, [table.sql.statistics(place)])
        kind = table.facts.columns[place].type
        bins = await _bins(table, place, line) if kind in (NUMBER, INTEGER, DATETIME) else ()
        table.statistics[place] = _statistics(line, kind, table.facts.rows, bins)
    return table.statistics[place]


@endpoint("GET", _PATH + "/download", query=DownloadForm, media="*/*")
async def download_table(call: Call) -> Response:
    """Download a table as CSV or Parquet, with its own column names.

    In CSV a null is empty and an empty text is ``""``.
    """
    table, form = await _opened(call), call.query
    engine_format, media_type = _FORMATS[form.format]
    sql = table.sql.export("1", (), range(len(table.facts.columns)))
    # Readers skip empty lines, so a null that is alone in its line is written as "".
    null = '""' if len(table.facts.columns) == 1 else ""
    sql += f" SETTINGS format_csv_null_representation = {quoted(null)}"
    name = await asyncio.to_thread(_scratch_file)
    try:
        found = await table.workers.ask(op="export", sql=sql, format=engine_format, target=name)
        file = await asyncio.to_thread(open, name, "rb")
    finally:
        os.unlink(name)  # The open file is all that is needed.
    file_name = f"{call.request.path_params['digest'][:16]}.{form.format}"
    headers = {
        "Content-Length": str(found.fields["size"]),
        "Content-Type": media_type,
        "Content-Disposition": f'attachment; filename="{file_name}"',
        "Cache-Control": "no-store",
    }

    async def pieces() -> AsyncIterator[bytes]:
        with file:
            while data := await asyncio.to_thread(file.read, _CHUNK_BYTES):
                yield data

    return StreamingResponse(pieces(), headers=headers)


def _scratch_file() -> str:
    descriptor, name = tempfile.mkstemp(prefix="stepwell-table-")
    os.close(descriptor)
    return name


# ---------------------------------------------------------------------- facts of a table


@dataclass(frozen=True, slots=True)
class _Table:
    facts: TableFacts
    sql: TableSql
    workers: TableWorkers
    counts: dict[str, int]
    statistics: dict[int, ColumnStatistics]


async def _opened(call: Call) -> _Table:
    """Return the table that the call names; its content never changes, so it is looked at once."""
    return await _open(call, str(call.request.path_params["digest"]))


@dataclass(frozen=True, slots=True)
class TableRead:
    """Rows of a table.

    Attributes:
        columns: name and type of each column that was read.
        rows: their cells; a medium is its `queries.MediaItem`.
        total: rows of the whole table.
    """

    columns: list[tuple[str, str]]
    rows: list[tuple[Any, ...]]
    total: int


async def read_rows(
    call: Call,
    project: str,
    run_id: str,
    digest: str,
    *,
    count: int,
    places: Sequence[int] | None = None,
    conditions: Sequence[Condition] = (),
    thin: int | None = None,
) -> TableRead:
    """Return the first ``count`` rows that match all ``conditions``.

    Args:
        places: the numbers of the columns; None: the first 200.
        thin: consider only so many rows of the table, evenly spread over it.

    Raises:
        ApiError: The table has no such column, or is not there.
    """
    table = await _open(call, digest)
    columns = table.facts.columns
    shown = range(min(len(columns), _COLUMNS_SHOWN_MAX)) if places is None else places
    for place in shown:
        table.sql.check(place, "columns")
    where = table.sql.where(conditions, "")
    if thin is not None:
        where = table.sql.thinned(where, table.facts.rows, thin)
    page = table.sql.page(
        where, [], tuple(shown), offset=0, limit=count, characters=_CHARACTERS_SHOWN
    )
    [rows] = await _ask(table.workers, [page])
    kinds = [columns[place].type for place in shown]
    cells = [_cells(kinds, line[1:], _CHARACTERS_SHOWN) for line in rows]
    with_items = await _with_items(call, project, run_id, kinds, cells)
    names = [columns[place].name or f"column {place + 1}" for place in shown]
    return TableRead(list(zip(names, kinds, strict=True)), with_items, table.facts.rows)


async def _open(call: Call, digest: str) -> _Table:
    if not is_digest(digest):
        raise ApiError(404, "not_found", "not a table's digest: expected 64 hexadecimal digits")
    context = call.context
    path = await asyncio.to_thread(_path_of, call, digest)
    kept = context.tables.get(digest)
    if isinstance(kept, _Table):
        return kept
    try:
        answer = await context.table_workers.ask(op="schema", path=path)
    except ApiError as error:
        if error.failure.code != "table_failed":
            raise
        raise ApiError(404, "not_found", f"the blob is not a table: {error}") from error
    columns = tuple(TableColumn(**each) for each in answer.fields["columns"])
    facts = TableFacts(columns, answer.fields["rows"])
    made = _Table(facts, TableSql(path, columns), context.table_workers, {}, {})
    _remember(context.tables, digest, made)
    return made


def _path_of(call: Call, digest: str) -> str:
    try:
        with call.context.blobs.open(digest) as file:
            return str(file.name)
    except FileNotFoundError as error:
        raise ApiError(
            404, "not_found", "table not found; the daemon has not stored it yet, or it was deleted"
        ) from error
    except OSError as error:
        raise ApiError(503, "blobs_unavailable", f"the blob store: {error}") from error


def _remember(kept: dict[Any, Any], key: Any, value: Any) -> None:
    while len(kept) >= _KEPT_MAX:
        kept.pop(next(iter(kept)))
    kept[key] = value


async def _ask(workers: TableWorkers, asked: Sequence[str]) -> list[list[list[Any]]]:
    """Return the rows of each answer."""
    message = await workers.ask(op="query", queries=list(asked))
    found, start = [], 0
    for size in message.fields["sizes"]:
        found.append(json.loads(message.body[start : start + size])["data"])
        start += size
    return found


# ---------------------------------------------------------------------- cells


def _cells(kinds: Sequence[str], values: Sequence[Any], characters: int) -> tuple[Any, ...]:
    cells: list[Any] = []
    left = iter(values)
    for kind in kinds:
        value = next(left)
        if kind in (NUMBER, INTEGER, BOOLEAN, DATETIME, MEDIA):
            cells.append(float(value) if kind == NUMBER and value is not None else value)
        else:
            length = next(left)
            cells.append(_text(value, length, characters, next(left) if kind == MIXED else None))
    return tuple(cells)


def _text(value: str | None, length: int | None, characters: int, kind: str | None) -> Any:
    if value is None or length is None or (kind is None and length <= characters):
        return value
    cell: dict[str, Any] = {"text": value, "characters": length}
    return cell | {"kind": kind} if kind is not None else cell


async def _with_media(call: Call, kinds: Sequence[str], rows: list[TableRow]) -> list[TableRow]:
    """Return the rows with the state of the media in their cells."""
    cells = [row.cells for row in rows]
    found = await _with_items(call, call.project, call.run_id, kinds, cells)
    return [
        TableRow(
            row.row,
            tuple(with_url(cell) if isinstance(cell, MediaItem) else cell for cell in cells),
        )
        for row, cells in zip(rows, found, strict=True)
    ]


async def _with_items(
    call: Call, project: str, run_id: str, kinds: Sequence[str], rows: list[tuple[Any, ...]]
) -> list[tuple[Any, ...]]:
    """Return the cells of rows with a `MediaItem` for each medium."""
    places = [place for place, kind in enumerate(kinds) if kind == MEDIA]
    logged = [
        json.loads(cells[place]) for cells in rows for place in places if cells[place] is not None
    ]
    if not logged:
        return rows
    found = iter(await call.ask(queries.media_items, project, run_id, logged))
    return [
        tuple(
            next(found) if kind == MEDIA and cell is not None else cell
            for kind, cell in zip(kinds, cells, strict=True)
        )
        for cells in rows
    ]


async def _bins(table: _Table, place: int, line: Sequence[Any]) -> tuple[Bin, ...]:
    """Return the distribution of a column, of which ``line`` has the range."""
    kind = table.facts.columns[place].type
    low, high = _finite(line[2], 1.0), _finite(line[3], 1.0)
    if low is None or high is None:
        return ()
    grid = grid_of(low, high, int(line[0]), is_integer=kind == INTEGER)
    if grid is None:
        return ()
    (found,) = await _ask(table.workers, [table.sql.distribution(place, grid)])
    counts = {int(place): int(count) for place, count in found}
    scale = 1e-6 if kind == DATETIME else 1.0
    return tuple(
        Bin(start * scale, end * scale, float(counts.get(each, 0)))
        for each, (start, end) in enumerate(itertools.pairwise(grid.edges()))
    )


def _statistics(
    line: Sequence[Any], kind: str, rows: int, bins: tuple[Bin, ...]
) -> ColumnStatistics:
    values = int(line[0])
    distinct = min(values, int(line[1]))  # An estimate, which can be too high.
    if kind not in (NUMBER, INTEGER, DATETIME):
        common = tuple(
            Common(str(each[0]), int(each[1])) for each in line[2] if each[0] is not None
        )
        return ColumnStatistics(values, rows - values, distinct, None, None, None, (), common)
    scale = 1e-6 if kind == DATETIME else 1.0
    low, high, mean = (_finite(each, scale) for each in line[2:5])
    return ColumnStatistics(values, rows - values, distinct, low, high, mean, bins, ())


def _finite(value: Any, scale: float) -> float | None:
    found = None if value is None else float(value) * scale
    return found if found is not None and found == found else None
