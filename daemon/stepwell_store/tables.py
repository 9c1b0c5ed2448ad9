"""Every table of the store, declared once.

To add one, write a declaration here and a migration (``migrations.py``). docs/formats/store.md
explains the columns. All moments are microseconds since 1970 UTC.
"""

from dataclasses import replace
from typing import Final

from stepwell_store.table_spec import (
    POINT_TYPE,
    SAMPLE_TYPE,
    ColumnSpec,
    DeletionOrder,
    MergeEngine,
    TableSpec,
)
from stepwell_wire.gaps import FORMER_REASONS, GapKind

_MOMENT: Final = "microseconds since 1970 UTC"
_COUNT_CODEC: Final = "T64, ZSTD(1)"
_STEP_CODEC: Final = "DoubleDelta, ZSTD(1)"
_TIME_CODEC: Final = "Delta, ZSTD(1)"
_VALUE_CODEC: Final = "Gorilla, ZSTD(1)"
_TEXT_CODEC: Final = "ZSTD(3)"
_BARE: Final = ""
_SMALL_GRANULE: Final = 1024


def _text(name: str, codec: str = "ZSTD(1)", comment: str = "") -> ColumnSpec:
    return ColumnSpec(name, "String", codec, comment)


def _kind(name: str, comment: str = "") -> ColumnSpec:
    return ColumnSpec(name, "String", _BARE, comment, is_dictionary=True)


def _identifier(name: str) -> ColumnSpec:
    return ColumnSpec(name, "UInt64")


def _latest(name: str, type_name: str, comment: str = "") -> ColumnSpec:
    return ColumnSpec(name, type_name, _BARE, comment, joined_by="max")


def _counts() -> tuple[ColumnSpec, ...]:
    names = ("count", "nan_count", "positive_inf_count", "negative_inf_count")
    return tuple(ColumnSpec(name, "UInt64", _COUNT_CODEC, joined_by="sum") for name in names)


def _finite(codec: str) -> tuple[ColumnSpec, ...]:
    joined = (("min", "min"), ("max", "max"), ("sum", "sum"))
    return tuple(ColumnSpec(name, "Float64", codec, joined_by=how) for name, how in joined)


_FIRST: Final = ColumnSpec("first", POINT_TYPE, joined_by="min")
_LAST: Final = ColumnSpec("last", POINT_TYPE, joined_by="max")
_RUN: Final = (_text("project"), _text("run_id"))
_WRITER: Final = (*_RUN, _text("writer_id"), _text("label"))
_BARE_RUN: Final = (_text("project", _BARE), _text("run_id", _BARE))

POINTS: Final = TableSpec(
    "points",
    (
        _identifier("series"),
        ColumnSpec("step", "Int64", _STEP_CODEC),
        ColumnSpec("time", "Int64", _TIME_CODEC, _MOMENT),
        ColumnSpec("value", "Float64", _VALUE_CODEC),
    ),
    key=("series", "step"),
    deletion=DeletionOrder.BY_SERIES,
)

SERIES_STATS: Final = TableSpec(
    "series_stats",
    (
        _identifier("project_id"),
        _identifier("metric_id"),
        _identifier("run_key"),
        _identifier("series"),
        *_counts(),
        *_finite("ZSTD(1)"),
        _FIRST,
        _LAST,
        ColumnSpec("time_min", "Int64", joined_by="min"),
        ColumnSpec("time_max", "Int64", joined_by="max"),
    ),
    key=("project_id", "metric_id", "run_key", "series"),
    engine=MergeEngine.AGGREGATING,
    sent=(
        *("project_id", "metric_id", "run_key", "series"),
        *("count", "nan_count", "positive_inf_count", "negative_inf_count", "min", "max", "sum"),
        # Not the declared order: data that was sent before this order was noted must keep its
        # bytes.
        *("last", "first", "time_min", "time_max"),
    ),
    deletion=DeletionOrder.BY_RUN_KEY,
    granule_rows=_SMALL_GRANULE,
)

SERIES_STATS_BY_RUN: Final = replace(
    SERIES_STATS,
    name="series_stats_by_run",
    key=("project_id", "run_key", "metric_id", "series"),
    rows_of="series_stats",
)
"""The rows of `series_stats` again, for queries of all metrics of one run."""

ROLLUPS: Final = TableSpec(
    "step_rollups",
    (
        ColumnSpec("width", "UInt32", comment="steps in a bucket"),
        _identifier("series"),
        ColumnSpec("bucket", "Int64", _STEP_CODEC, "floor(step / width)"),
        *_counts(),
        *_finite(_VALUE_CODEC),
        _FIRST,
        _LAST,
    ),
    key=("width", "series", "bucket"),
    engine=MergeEngine.AGGREGATING,
    deletion=DeletionOrder.BY_SERIES,
    granule_rows=_SMALL_GRANULE,
)

SERIES: Final = TableSpec(
    "series",
    (
        *_RUN,
        _text("metric"),
        _text("label"),
        _identifier("series"),
        _identifier("project_id"),
        _identifier("metric_id"),
        _identifier("run_key"),
    ),
    key=("project", "run_id", "metric", "label"),
    engine=MergeEngine.REPLACING,
    deletion=DeletionOrder.BY_NAME_LAST,
    granule_rows=_SMALL_GRANULE,
)

WRITERS: Final = TableSpec(
    "writers",
    (
        *_BARE_RUN,
        _text("writer_id", _BARE),
        _latest("label", "String"),
        _latest("host", "String"),
        _latest("pid", "Int64"),
        _latest("rank", "Int32", "-1 until known"),
        _latest("world_size", "Int32", "0 until known"),
        _latest("client", "String"),
        _latest("resumed", "UInt8"),
        _latest("started_at", "Int64", f"{_MOMENT}; 0 until known"),
        _latest("last_seen", "Int64", "of its latest event; points: series_stats.time_max"),
        _latest("run_key", "UInt64", "0 in rows of schema 5 and before"),
        _latest("state", "Tuple(time Int64, state String, exit_code Int32)"),
    ),
    key=("project", "run_id", "writer_id"),
    engine=MergeEngine.AGGREGATING,
    is_of_events=True,
    deletion=DeletionOrder.BY_NAME_LAST,
)

ATTRIBUTES: Final = TableSpec(
    "attributes",
    (
        *_RUN,
        _kind("kind", "config, summary, metadata, run, define_metric, or names of a path"),
        _text("path", comment="nested names joined by dots"),
        _kind("type", "float, int, bool, text, json or null"),
        ColumnSpec("float", "Float64", comment="of float, int and bool"),
        ColumnSpec("int", "Int64", comment="of int and bool"),
        _text("text", comment="of text, json and ints beyond 64 bits"),
        ColumnSpec("deleted", "UInt8", _BARE),
        ColumnSpec("version", "Int64", _BARE, _MOMENT),
    ),
    key=("project", "run_id", "kind", "path"),
    engine=MergeEngine.REPLACING,
    version_column="version",
    is_of_events=True,
    deletion=DeletionOrder.BY_NAME,
    granule_rows=_SMALL_GRANULE,
)

ATTRIBUTES_BY_PATH: Final = replace(
    ATTRIBUTES,
    name="attributes_by_path",
    key=("project", "kind", "path", "run_id"),
    rows_of="attributes",
)
"""The rows of `attributes` again, for queries of one path in many runs."""

CONSOLE: Final = TableSpec(
    "console",
    (
        *_WRITER,
        _kind("stream"),
        ColumnSpec("number", "Int64", _STEP_CODEC),
        ColumnSpec("time", "Int64", _TIME_CODEC),
        _text("text", _TEXT_CODEC),
    ),
    key=("project", "run_id", "writer_id", "stream", "number"),
    engine=MergeEngine.REPLACING,
    version_column="time",
    is_of_events=True,
    deletion=DeletionOrder.BY_NAME,
    kept_days="console_days",
)

TEXTS: Final = TableSpec(
    "texts",
    (
        *_RUN,
        _text("metric"),
        _text("label"),
        ColumnSpec("step", "Int64", _STEP_CODEC),
        ColumnSpec("time", "Int64", _TIME_CODEC),
        _kind("type", "null, text or json"),
        _text("text", _TEXT_CODEC),
    ),
    key=("project", "run_id", "metric", "label", "step"),
    is_of_events=True,
    deletion=DeletionOrder.BY_NAME,
)

BLOBS: Final = TableSpec(
    "blobs",
    (
        *_RUN,
        _text("blob", comment="the id that rows name it by"),
        _kind("state", "ready or failed"),
        _text("digest", comment="BLAKE3, 64 hexadecimal digits"),
        ColumnSpec("size", "UInt64", _COUNT_CODEC, "bytes"),
        _kind("media_type"),
        ColumnSpec("width", "UInt32", _COUNT_CODEC, "pixels; 0 of what has none"),
        ColumnSpec("height", "UInt32", _COUNT_CODEC),
        _text("reason", comment="why it failed"),
        ColumnSpec("time", "Int64", _TIME_CODEC, _MOMENT),
    ),
    key=("project", "run_id", "blob"),
    engine=MergeEngine.REPLACING,
    version_column="time",
    is_of_events=True,
    deletion=DeletionOrder.BY_NAME,
)
"""The state of the bytes that rows of `texts` name by a random id."""

HISTOGRAMS: Final = TableSpec(
    "histograms",
    (
        *_RUN,
        _text("metric"),
        _text("label"),
        ColumnSpec("step", "Int64", _STEP_CODEC),
        ColumnSpec("time", "Int64", _TIME_CODEC),
        ColumnSpec("low", "Float64", comment="lower edge of the first bin"),
        ColumnSpec("high", "Float64", comment="upper edge of the last bin"),
        _text("edges", _TEXT_CODEC, "JSON; empty for bins of equal width"),
        _text("counts", _TEXT_CODEC, "JSON; one number a bin"),
        ColumnSpec("nan_count", "UInt64", _COUNT_CODEC),
        ColumnSpec("positive_inf_count", "UInt64", _COUNT_CODEC),
        ColumnSpec("negative_inf_count", "UInt64", _COUNT_CODEC),
    ),
    key=("project", "run_id", "metric", "label", "step"),
    is_of_events=True,
    deletion=DeletionOrder.BY_NAME,
)

_KIND_OF_FORMER_GAP: Final = (
    "multiIf("
    + "".join(f"startsWith(reason, '{begin}'), '{kind}', " for begin, kind in FORMER_REASONS)
    + f"'{GapKind.UNKNOWN}')"
)
_FILE_OF_FORMER_GAP: Final = (
    f"if(kind IN ('{GapKind.DEAD_LETTER}', '{GapKind.REPLAYED}'), "
    "arrayElement(splitByChar('/', reason), -1), '')"
)

GAPS: Final = TableSpec(
    "gaps",
    (
        *_BARE_RUN,
        _text("writer_id", _BARE),
        _text("label", _BARE),
        ColumnSpec("time", "Int64", _BARE),
        _kind("reason"),
        ColumnSpec("rows", "UInt64", _BARE),
        ColumnSpec("points", "UInt64", _BARE),
        ColumnSpec("first_step", "Int64", _BARE),
        ColumnSpec("last_step", "Int64", _BARE),
        ColumnSpec("kind", "String", _BARE, is_dictionary=True, default=_KIND_OF_FORMER_GAP),
        ColumnSpec("file", "String", _BARE, "of a dead letter", default=_FILE_OF_FORMER_GAP),
    ),
    key=("project", "run_id", "writer_id", "time"),
    is_of_events=True,
    deletion=DeletionOrder.BY_NAME,
)

EVENTS: Final = TableSpec(
    "events",
    (
        *_WRITER,
        ColumnSpec("step", "Int64", _BARE),
        ColumnSpec("time", "Int64", _BARE),
        _kind("kind"),
        _text("body", _TEXT_CODEC, "JSON"),
    ),
    key=("project", "run_id", "kind", "time"),
    is_of_events=True,
    deletion=DeletionOrder.BY_NAME,
)

NODE_SERIES: Final = TableSpec(
    "node_series",
    (_text("host"), _text("metric"), _text("label"), _identifier("series")),
    key=("host", "metric", "label"),
    engine=MergeEngine.REPLACING,
)

NODE_POINTS: Final = TableSpec(
    "node_points",
    (
        _identifier("series"),
        ColumnSpec("time", "Int64", _STEP_CODEC, _MOMENT),
        ColumnSpec("value", "Float64", _VALUE_CODEC),
    ),
    key=("series", "time"),
    kept_days="node_days",
)

NODE_ROLLUPS: Final = TableSpec(
    "node_rollups",
    (
        ColumnSpec("width", "UInt32", comment="microseconds in a bucket"),
        _identifier("series"),
        ColumnSpec("time", "Int64", _STEP_CODEC, f"where the bucket begins, {_MOMENT}"),
        *_counts(),
        *_finite(_VALUE_CODEC),
        ColumnSpec("first", SAMPLE_TYPE, joined_by="min"),
        ColumnSpec("last", SAMPLE_TYPE, joined_by="max"),
    ),
    key=("width", "series", "time"),
    engine=MergeEngine.AGGREGATING,
    kept_days="node_days",
    granule_rows=_SMALL_GRANULE,
)

REMOVED_WRITERS: Final = TableSpec(
    "removed_writers",
    (
        *_BARE_RUN,
        _text("writer_id", _BARE),
        ColumnSpec("removed_at", "Int64", _BARE, _MOMENT),
    ),
    key=("project", "run_id", "writer_id"),
    engine=MergeEngine.REPLACING,
    version_column="removed_at",
    deletion=DeletionOrder.BY_NAME_LAST,
)
"""Writers that were running when their run was deleted: their later rows are deleted as well."""

REMOVED_RUNS: Final = TableSpec(
    "removed_runs",
    (
        _identifier("run_key"),
        ColumnSpec("removed_at", "Int64", _BARE, _MOMENT),
    ),
    key=("run_key",),
    engine=MergeEngine.REPLACING,
    version_column="removed_at",
)
"""When runs were deleted last. The catalog of artifacts needs this moment: an earlier note is of
the deleted run, not of a later run with the same id. No name of a deleted run is kept here."""

TABLES: Final = (
    *(POINTS, SERIES_STATS, SERIES_STATS_BY_RUN, ROLLUPS, SERIES),
    *(WRITERS, ATTRIBUTES, ATTRIBUTES_BY_PATH),
    *(CONSOLE, TEXTS, HISTOGRAMS, GAPS, EVENTS),
    *(NODE_SERIES, NODE_POINTS, NODE_ROLLUPS, REMOVED_WRITERS, REMOVED_RUNS, BLOBS),
)
"""In the order in which the blocks of events are built."""

SCHEMA_VERSIONS: Final = TableSpec(
    "schema_versions",
    (
        ColumnSpec("version", "UInt32", _BARE),
        ColumnSpec("name", "String", _BARE),
        ColumnSpec("applied_at", "DateTime", _BARE, default="now()"),
    ),
    key=("version",),
    engine=MergeEngine.REPLACING,
    is_on_every_server=True,
)
"""The complete migrations of this store."""

BY_NAME: Final = {table.name: table for table in (*TABLES, SCHEMA_VERSIONS)}

assert len(BY_NAME) == len(TABLES) + 1


BLOCK_LAYOUT: Final = 4
"""Increased when the blocks of an extent change. 1: no `attributes_by_path`, and a table `rollups`
instead of `step_rollups`. 2: no `series_stats_by_run`. 3: no `node_rollups`."""


def deleted_with_a_run() -> tuple[TableSpec, ...]:
    """Return the tables with rows of runs, in the order of deletion."""
    held = [table for table in TABLES if table.deletion is not None]
    return tuple(sorted(held, key=lambda table: table.deletion or 0))
