"""Blocks: decoded records of many writers as sorted, columnar rows of the store's tables.

    BlockBuilder.add(writer, decoded, schemas)  for each stretch of records of an extent
    BlockBuilder.build()                        one Block a table that has rows

The same stretches in the same order make the same bytes, in any process and at any time: a
block that is sent again after a crash is recognised as the one that was sent before.
"""

import hashlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stepwell_store.aggregates import ROLLUP_WIDTHS, Aggregates, Points, aggregate
from stepwell_store.event_rows import EventRows
from stepwell_store.identity import fingerprint, node_fingerprint, series_fingerprints
from stepwell_store.native import Column, encode_block, number_column, string, strings
from stepwell_store.points import RowGroup, sort_points
from stepwell_store.writer import WriterInfo
from stepwell_wire.rows import DecodedRecords

_Key = tuple[WriterInfo, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Block:
    """Rows for one insert into one table, as columns.

    Attributes:
        names: in a table of names, what is named: once stored, it need not be stored again.
        shard: which shard of the store the rows belong to.
    """

    table: str
    rows: int
    columns: tuple[Column, ...]
    names: tuple[Hashable, ...] = ()
    shard: int = 0

    def native(self) -> list[bytes | memoryview]:
        """Return the rows in ClickHouse's Native format, in pieces for ``os.writev``."""
        return encode_block(self.columns, self.rows)

    def digest(self) -> str:
        """Return 16 hexadecimal digits of the content, for use in a token.

        A token must name content as well as extent: the store drops a block whose token it
        has seen without a look at its rows.
        """
        digest = hashlib.sha1(self.table.encode(), usedforsecurity=False)
        for piece in self.native():
            digest.update(piece)
        return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _SeriesIds:
    """What the tables need of each column of one writer's schema; all of shape (keys,)."""

    series: NDArray[np.uint64]
    metric_id: NDArray[np.uint64]
    names: bytes  # the metrics as the data of a String column


@lru_cache(maxsize=4096)
def _series_ids(
    project: str, run_id: str, label: str, node: str | None, metrics: tuple[str, ...]
) -> _SeriesIds:
    if node is None:
        series = series_fingerprints(project, run_id, metrics, label)
    else:
        series = np.array([node_fingerprint(node, name, label) for name in metrics], dtype="<u8")
    ids = np.array([fingerprint(name) for name in metrics], dtype="<u8")
    return _SeriesIds(series, ids, strings(metrics))


def _ids_of(key: _Key) -> _SeriesIds:
    writer, metrics = key
    node = writer.host if writer.is_node else None
    return _series_ids(writer.project, writer.run_id, writer.label, node, metrics)


class BlockBuilder:
    """Gathers what an extent holds and lays it out as blocks."""

    def __init__(self, shard: int = 0) -> None:
        self.point_count = 0
        self._shard = shard
        self._groups: dict[_Key, RowGroup] = {}
        self._events = EventRows()

    def add(
        self,
        writer: WriterInfo,
        decoded: DecodedRecords,
        schemas: Mapping[int, tuple[str, ...]],
    ) -> None:
        """Take the rows and events of one stretch of ``writer``'s records.

        Args:
            writer: who wrote them.
            decoded: the arrays may be views into a buffer; it is held until ``build``.
            schemas: the metric names of every schema that occurs in ``decoded``.
        """
        for rows in decoded.rows:
            key = (writer, schemas[rows.schema])
            group = self._groups.get(key)
            if group is None:
                group = self._groups[key] = RowGroup(_ids_of(key).series)
            if len(rows.steps):
                group.steps.append(rows.steps)
                group.times.append(rows.times)
                group.values.append(rows.values)
        self.point_count += decoded.point_count
        for event in decoded.events:
            self._events.add(writer, event)

    def build(self) -> list[Block]:
        """Return a block for each table that has rows, always in the same order of tables."""
        blocks: list[Block] = []
        runs = {key: group for key, group in self._groups.items() if not key[0].is_node}
        nodes = {key: group for key, group in self._groups.items() if key[0].is_node}
        if points := _points_of(runs):
            rollups, statistics = aggregate(points)
            blocks.append(_series_block(list(runs)))
            blocks.append(_points_block(points))
            blocks.append(_rollups_block(rollups))
            blocks.append(_statistics_block(statistics, list(runs)))
        if points := _points_of(nodes):
            blocks.append(_node_series_block(list(nodes)))
            blocks.append(_node_points_block(points))
        for table, rows, columns in self._events.tables():
            blocks.append(Block(table, rows, tuple(columns)))
        return [replace(block, shard=self._shard) for block in blocks] if self._shard else blocks


def _points_of(groups: Mapping[_Key, RowGroup]) -> Points | None:
    filled = [group for group in groups.values() if group.steps and len(group.series)]
    return sort_points(filled) if filled else None


def _points_block(points: Points) -> Block:
    return Block(
        "points",
        len(points.series),
        (
            number_column("series", "UInt64", points.series),
            number_column("step", "Int64", points.steps),
            number_column("time", "Int64", points.times),
            number_column("value", "Float64", points.values),
        ),
    )


def _node_points_block(points: Points) -> Block:
    order = np.lexsort((points.times, points.series))
    return Block(
        "node_points",
        len(points.series),
        (
            number_column("series", "UInt64", points.series[order]),
            number_column("time", "Int64", points.times[order]),
            number_column("value", "Float64", points.values[order]),
        ),
    )


def _rollups_block(rollups: list[Aggregates]) -> Block:
    lengths = [len(rollup.series) for rollup in rollups]
    widths = np.repeat(np.array(ROLLUP_WIDTHS, dtype="<u2"), lengths)
    shared = [rollup.columns() for rollup in rollups]
    joined = [
        Column(parts[0].name, parts[0].type, _joined_pieces(parts))
        for parts in zip(*shared, strict=True)
    ]
    series = np.concatenate([rollup.series for rollup in rollups])
    bucket = np.concatenate([rollup.bucket for rollup in rollups])
    head = (
        number_column("width", "UInt16", widths),
        number_column("series", "UInt64", series),
        number_column("bucket", "Int64", bucket),
    )
    return Block("rollups", sum(lengths), (*head, *joined))


def _joined_pieces(parts: tuple[Column, ...]) -> tuple[bytes | memoryview, ...]:
    """Return the pieces of equal columns of several tables one below the other.

    A Tuple lies element by element, so its pieces are taken turn by turn.
    """
    return tuple(
        piece for turn in zip(*(part.pieces for part in parts), strict=True) for piece in turn
    )


def _statistics_block(statistics: Aggregates, keys: list[_Key]) -> Block:
    ids = [_ids_of(key) for key in keys]
    series = np.concatenate([each.series for each in ids])
    metric_id = np.concatenate([each.metric_id for each in ids])
    widths = [len(each.series) for each in ids]
    projects = np.array([fingerprint(writer.project) for writer, _ in keys], dtype="<u8")
    runs = np.array([writer.run_key for writer, _ in keys], dtype="<u8")
    project_id, run_key = np.repeat(projects, widths), np.repeat(runs, widths)
    known, where = np.unique(series, return_index=True)
    where = where[np.searchsorted(known, statistics.series)]
    project_id, metric_id, run_key = project_id[where], metric_id[where], run_key[where]
    order = np.lexsort((statistics.series, run_key, metric_id, project_id))
    statistics = statistics.taken(order)
    columns = (
        number_column("project_id", "UInt64", project_id[order]),
        number_column("metric_id", "UInt64", metric_id[order]),
        number_column("run_key", "UInt64", run_key[order]),
        number_column("series", "UInt64", statistics.series),
        *statistics.columns(),
        *statistics.extent_columns(),
    )
    return Block("series_stats", len(statistics.series), columns)


def _series_block(keys: list[_Key]) -> Block:
    """Return the names of all series that the extent may hold points of.

    Sent with every extent, so that no state outside the extent decides what is sent;
    ReplacingMergeTree keeps one row of each.
    """
    ids = [_ids_of(key) for key in keys]
    widths = [len(each.series) for each in ids]
    projects = np.array([fingerprint(writer.project) for writer, _ in keys], dtype="<u8")
    runs = np.array([writer.run_key for writer, _ in keys], dtype="<u8")
    columns = (
        _repeated("project", [writer.project for writer, _ in keys], widths),
        _repeated("run_id", [writer.run_id for writer, _ in keys], widths),
        Column("metric", "String", tuple(each.names for each in ids)),
        _repeated("label", [writer.label for writer, _ in keys], widths),
        number_column("series", "UInt64", np.concatenate([each.series for each in ids])),
        number_column("project_id", "UInt64", np.repeat(projects, widths)),
        number_column("metric_id", "UInt64", np.concatenate([each.metric_id for each in ids])),
        number_column("run_key", "UInt64", np.repeat(runs, widths)),
    )
    return Block("series", sum(widths), columns, _names_of(keys))


def _node_series_block(keys: list[_Key]) -> Block:
    ids = [_ids_of(key) for key in keys]
    widths = [len(each.series) for each in ids]
    columns = (
        _repeated("host", [writer.host for writer, _ in keys], widths),
        Column("metric", "String", tuple(each.names for each in ids)),
        _repeated("label", [writer.label for writer, _ in keys], widths),
        number_column("series", "UInt64", np.concatenate([each.series for each in ids])),
    )
    return Block("node_series", sum(widths), columns, _names_of(keys))


def _names_of(keys: list[_Key]) -> tuple[Hashable, ...]:
    return tuple(
        (writer.project, writer.run_id, writer.label, writer.is_node and writer.host, metrics)
        for writer, metrics in keys
    )


def _repeated(name: str, texts: list[str], counts: list[int]) -> Column:
    pieces = (string(text) * count for text, count in zip(texts, counts, strict=True))
    return Column(name, "String", (b"".join(pieces),))
