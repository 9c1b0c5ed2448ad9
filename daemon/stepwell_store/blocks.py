"""Blocks: decoded records of many writers as sorted, columnar rows of the store's tables.

    BlockBuilder.add(writer, decoded, schemas)  for each run of records of one writer
    BlockBuilder.build()                        one Block for each table with rows

The same records in the same order make the same bytes, in any process and at any time. So a block
that is sent again after a crash is recognised as the earlier one.
"""

import hashlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stepwell_store.aggregates import (
    NODE_ROLLUP_WIDTHS,
    ROLLUP_WIDTHS,
    Aggregates,
    Points,
    aggregate,
    aggregate_over_time,
    joined,
)
from stepwell_store.event_rows import EventRows
from stepwell_store.identity import fingerprint, node_fingerprint, series_fingerprints
from stepwell_store.native import Column, encode_block, string, strings
from stepwell_store.points import RowGroup, sort_points
from stepwell_store.table_block import Values, block_columns
from stepwell_store.table_spec import TableSpec
from stepwell_store.tables import (
    NODE_POINTS,
    NODE_ROLLUPS,
    NODE_SERIES,
    POINTS,
    ROLLUPS,
    SERIES,
    SERIES_STATS,
    SERIES_STATS_BY_RUN,
)
from stepwell_store.writer import WriterInfo
from stepwell_wire.rows import DecodedRecords

_Key = tuple[WriterInfo, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Block:
    """Rows for one insert into one table, as columns.

    Attributes:
        names: in a table of names, the named things: once stored, they need not be stored again.
        shard: the shard of the store for the rows.
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

        A token must name the content as well as the extent, because the store ignores a block with
        a known token without reading its rows.
        """
        digest = hashlib.sha1(self.table.encode(), usedforsecurity=False)
        for piece in self.native():
            digest.update(piece)
        return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _SeriesIds:
    """The tables' facts of each column of one writer's schema; all of shape (keys,)."""

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
    """Collects the records of an extent and lays them out as blocks."""

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
        """Add the rows and events of consecutive records of ``writer``.

        Args:
            writer: the writer of the records.
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
            blocks += _statistics_blocks(statistics, list(runs))
        if points := _points_of(nodes):
            blocks.append(_node_series_block(list(nodes)))
            points = _by_time(points)
            blocks.append(_node_points_block(points))
            blocks.append(_node_rollups_block(aggregate_over_time(points)))
        for table, rows, columns in self._events.tables():
            blocks.append(Block(table, rows, tuple(columns)))
        return [replace(block, shard=self._shard) for block in blocks] if self._shard else blocks


def _points_of(groups: Mapping[_Key, RowGroup]) -> Points | None:
    filled = [group for group in groups.values() if group.steps and len(group.series)]
    return sort_points(filled) if filled else None


def _block(table: TableSpec, rows: int, values: Mapping[str, Values]) -> Block:
    return Block(table.name, rows, block_columns(table, values))


def _points_block(points: Points) -> Block:
    values = {
        "series": points.series,
        "step": points.steps,
        "time": points.times,
        "value": points.values,
    }
    return _block(POINTS, len(points.series), values)


def _by_time(points: Points) -> Points:
    """Return ``points`` sorted by (series, time)."""
    order = np.lexsort((points.times, points.series))
    return Points(
        points.series[order], points.steps[order], points.times[order], points.values[order]
    )


def _node_points_block(points: Points) -> Block:
    values = {"series": points.series, "time": points.times, "value": points.values}
    return _block(NODE_POINTS, len(points.series), values)


def _node_rollups_block(rollups: list[Aggregates]) -> Block:
    widths = np.repeat(NODE_ROLLUP_WIDTHS, [len(rollup.series) for rollup in rollups])
    rows = joined(rollups)
    values: dict[str, Values] = {
        **rows.columns(),
        "width": widths,
        "time": rows.bucket * widths,
        "first": (rows.first_time, rows.first_value),
        "last": (rows.last_time, rows.last_value),
    }
    return _block(NODE_ROLLUPS, len(widths), values)


def _rollups_block(rollups: list[Aggregates]) -> Block:
    widths = np.repeat(ROLLUP_WIDTHS, [len(rollup.series) for rollup in rollups])
    return _block(ROLLUPS, len(widths), {"width": widths, **joined(rollups).columns()})


def _statistics_blocks(statistics: Aggregates, keys: list[_Key]) -> list[Block]:
    """Return the statistics in both of their orders."""
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
    values = {
        "project_id": project_id,
        "metric_id": metric_id,
        "run_key": run_key,
        "series": statistics.series,
    }
    made = []
    for table in (SERIES_STATS, SERIES_STATS_BY_RUN):
        order = np.lexsort([values[name] for name in reversed(table.key)])
        taken = {name: held[order] for name, held in values.items()}
        columns = {**statistics.taken(order).columns(), **taken}
        made.append(_block(table, len(order), columns))
    return made


def _series_block(keys: list[_Key]) -> Block:
    """Return the names of all series that the extent may have points of.

    They are sent with every extent, so that its blocks depend on no other state. ReplacingMergeTree
    keeps one row of each.
    """
    ids = [_ids_of(key) for key in keys]
    widths = [len(each.series) for each in ids]
    projects = np.array([fingerprint(writer.project) for writer, _ in keys], dtype="<u8")
    runs = np.array([writer.run_key for writer, _ in keys], dtype="<u8")
    values: dict[str, Values] = {
        "project": _repeated("project", [writer.project for writer, _ in keys], widths),
        "run_id": _repeated("run_id", [writer.run_id for writer, _ in keys], widths),
        "metric": Column("metric", "String", tuple(each.names for each in ids)),
        "label": _repeated("label", [writer.label for writer, _ in keys], widths),
        "series": np.concatenate([each.series for each in ids]),
        "project_id": np.repeat(projects, widths),
        "metric_id": np.concatenate([each.metric_id for each in ids]),
        "run_key": np.repeat(runs, widths),
    }
    return replace(_block(SERIES, sum(widths), values), names=_names_of(keys))


def _node_series_block(keys: list[_Key]) -> Block:
    ids = [_ids_of(key) for key in keys]
    widths = [len(each.series) for each in ids]
    values: dict[str, Values] = {
        "host": _repeated("host", [writer.host for writer, _ in keys], widths),
        "metric": Column("metric", "String", tuple(each.names for each in ids)),
        "label": _repeated("label", [writer.label for writer, _ in keys], widths),
        "series": np.concatenate([each.series for each in ids]),
    }
    return replace(_block(NODE_SERIES, sum(widths), values), names=_names_of(keys))


def _names_of(keys: list[_Key]) -> tuple[Hashable, ...]:
    return tuple(
        # For each writer again: its run may have the id of a run that was just deleted.
        (writer.writer_id, writer.project, writer.run_id, writer.label, writer.host, metrics)
        for writer, metrics in keys
    )


def _repeated(name: str, texts: list[str], counts: list[int]) -> Column:
    pieces = (string(text) * count for text, count in zip(texts, counts, strict=True))
    return Column(name, "String", (b"".join(pieces),))
