"""Rows of one table computed from another's, inside the store, for migrations.

Points become rollups again in pieces, by the first byte of their series. Each piece is one insert
under its own token. So it is stored once, even if a migration is repeated or several daemons
migrate. No I/O here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from stepwell_store.aggregates import NODE_ROLLUP_WIDTHS, ROLLUP_WIDTHS
from stepwell_store.table_spec import TableSpec
from stepwell_store.tables import (
    ATTRIBUTES,
    ATTRIBUTES_BY_PATH,
    NODE_POINTS,
    NODE_ROLLUPS,
    POINTS,
    ROLLUPS,
    SERIES,
    SERIES_STATS,
    SERIES_STATS_BY_RUN,
    WRITERS,
)

FILL_SECONDS: Final = 6 * 3600.0
"""Time limit of a fill; after it the fill is repeated."""
_PIECE_SHIFT: Final = 56
_ROWS_MAX: Final = 1 << 40
FILL_SETTINGS: Final[dict[str, object]] = {
    # One block, so that it is stored whole or not at all, and its token covers all of it.
    "max_threads": 1,
    "min_insert_block_size_rows": _ROWS_MAX,
    "min_insert_block_size_bytes": 0,
}


# Coarser rollups are computed from the finest one only, as in ``aggregates.py``. A shift is a
# floor, also for negative steps. One 128-bit number of step and time is twice as fast as their
# tuple.
_ROLLUPS: Final = """\
SELECT toUInt32(bitShiftLeft(toUInt32({finest}), shift)) AS width, series,
       bitShiftRight(fine, shift) AS bucket,
       sum(points) AS count, sum(nans) AS nan_count,
       sum(positive_infs) AS positive_inf_count, sum(negative_infs) AS negative_inf_count,
       min(lowest) AS min, max(highest) AS max, sum(total) AS sum,
       min(earliest) AS first, max(latest) AS last
FROM
(
    SELECT series, bitShiftRight(step, {finest_shift}) AS fine, count() AS points,
           countIf(isNaN(value)) AS nans,
           countIf(value = inf) AS positive_infs, countIf(value = -inf) AS negative_infs,
           min(if(isFinite(value), value, inf)) AS lowest,
           max(if(isFinite(value), value, -inf)) AS highest,
           sum(if(isFinite(value), value, 0)) AS total,
           argMin((step, time, value), bitShiftLeft(toInt128(step), 64) + time) AS earliest,
           argMax((step, time, value), bitShiftLeft(toInt128(step), 64) + time) AS latest
    FROM {points} WHERE {condition}
    GROUP BY series, fine
)
ARRAY JOIN {shifts} AS shift
GROUP BY width, series, bucket"""

_NODE_ROLLUPS: Final = """\
SELECT toUInt32(bitShiftLeft(toUInt32({finest}), shift)) AS width, series,
       bitShiftLeft(bitShiftRight(fine, shift), {finest_shift} + shift) AS time,
       sum(points) AS count, sum(nans) AS nan_count,
       sum(positive_infs) AS positive_inf_count, sum(negative_infs) AS negative_inf_count,
       min(lowest) AS min, max(highest) AS max, sum(total) AS sum,
       min(earliest) AS first, max(latest) AS last
FROM
(
    SELECT series, bitShiftRight(time, {finest_shift}) AS fine, count() AS points,
           countIf(isNaN(value)) AS nans,
           countIf(value = inf) AS positive_infs, countIf(value = -inf) AS negative_infs,
           min(if(isFinite(value), value, inf)) AS lowest,
           max(if(isFinite(value), value, -inf)) AS highest,
           sum(if(isFinite(value), value, 0)) AS total,
           (min(time), argMin(value, time)) AS earliest, (max(time), argMax(value, time)) AS latest
    FROM {points} WHERE {condition}
    GROUP BY series, fine
)
ARRAY JOIN {shifts} AS shift
GROUP BY width, series, time"""


@dataclass(frozen=True, slots=True)
class Fill:
    """Rows of ``table`` from a SELECT on ``source``, with its columns in the table's order.

    Attributes:
        token: the deduplication token of the rows; "" if storing them again has no effect, or if
            the caller has deleted the old rows.
    """

    table: TableSpec
    source: TableSpec
    select: str
    token: str = ""

    def statement(self, place: str, select: str, *, settings: str = "") -> str:
        """Return the INSERT.

        Args:
            place: the table's name in the store.
            select: ``self.select`` with places for names.
            settings: of the insert, if the engine accepts them as SQL.
        """
        names = ", ".join(column.name for column in self.table.columns)
        return f"INSERT INTO {place} ({names}){settings} {select}"


def pieces_of(points: TableSpec) -> str:
    """Return the query for the non-empty pieces of a table of points."""
    return (
        f"SELECT DISTINCT toUInt8(bitShiftRight(series, {_PIECE_SHIFT})) AS piece "
        f"FROM {points.name} ORDER BY piece"
    )


def settings_sql(settings: Mapping[str, object]) -> str:
    """Return ``settings`` as a clause."""
    return " SETTINGS " + ", ".join(f"{name} = {value!r}" for name, value in settings.items())


def attributes_by_path() -> Fill:
    """Return the fill of ``attributes_by_path`` with the rows of ``attributes``."""
    names = ", ".join(column.name for column in ATTRIBUTES.columns)
    return Fill(ATTRIBUTES_BY_PATH, ATTRIBUTES, f"SELECT {names} FROM {ATTRIBUTES.name} FINAL")


def rollups_of_piece(piece: int, token: str) -> Fill:
    """Return the fill with the rollups of the series with the first byte ``piece``."""
    return Fill(ROLLUPS, POINTS, _rollups_where(_of_piece(piece)), f"{token}-{piece}")


def rollups_of_series(series: Iterable[int]) -> Fill:
    """Return the fill with the rollups of ``series``; none of them may be stored."""
    return Fill(ROLLUPS, POINTS, _rollups_where(_one_of(series)))


def node_rollups_of_piece(piece: int, token: str) -> Fill:
    """Return the fill with the rollups of the nodes' series with the first byte ``piece``."""
    select = _node_rollups_where(_of_piece(piece))
    return Fill(NODE_ROLLUPS, NODE_POINTS, select, f"{token}-{piece}")


def node_rollups_of_series(series: Iterable[int]) -> Fill:
    """Return the fill with the rollups of the nodes' ``series``; none of them may be stored."""
    return Fill(NODE_ROLLUPS, NODE_POINTS, _node_rollups_where(_one_of(series)))


def statistics_by_run_of_piece(piece: int, token: str) -> Fill:
    """Return the fill that copies the statistics of the series with the first byte ``piece``."""
    select = _statistics_where(_of_piece(piece))
    return Fill(SERIES_STATS_BY_RUN, SERIES_STATS, select, f"{token}-{piece}")


def statistics_by_run_of_series(series: Iterable[int]) -> Fill:
    """Return the fill that copies the statistics of ``series``; none of them may be in the copy."""
    return Fill(SERIES_STATS_BY_RUN, SERIES_STATS, _statistics_where(_one_of(series)))


def run_keys_of_writers() -> Fill:
    """Return the fill that gives writers the keys of their runs.

    It stores their rows again, which changes no other column. Writers of runs without a series keep
    0.
    """
    key = "run_key"
    names = ", ".join(column.name for column in WRITERS.columns)
    others = ", ".join(column.name for column in WRITERS.columns if column.name != key)
    return Fill(
        WRITERS,
        WRITERS,
        f"SELECT {names} FROM (SELECT {others} FROM {WRITERS.name}) AS w ALL INNER JOIN "
        f"(SELECT project, run_id, max(s.{key}) AS {key} FROM {SERIES.name} AS s "
        "GROUP BY project, run_id) AS k USING (project, run_id)",
    )


def _of_piece(piece: int) -> str:
    first, last = piece << _PIECE_SHIFT, ((piece + 1) << _PIECE_SHIFT) - 1
    return f"series BETWEEN toUInt64({first}) AND toUInt64({last})"


def _one_of(series: Iterable[int]) -> str:
    return f"series IN ({', '.join(map(str, series))})"


def _statistics_where(condition: str) -> str:
    names = ", ".join(column.name for column in SERIES_STATS.columns)
    return f"SELECT {names} FROM {SERIES_STATS.name} WHERE {condition}"


def _rollups_where(condition: str) -> str:
    return _rolled_up(_ROLLUPS, POINTS, ROLLUP_WIDTHS, condition)


def _node_rollups_where(condition: str) -> str:
    return _rolled_up(_NODE_ROLLUPS, NODE_POINTS, NODE_ROLLUP_WIDTHS, condition)


def _rolled_up(select: str, points: TableSpec, widths: Sequence[int], condition: str) -> str:
    finest = widths[0].bit_length() - 1
    return select.format(
        finest=widths[0],
        finest_shift=finest,
        points=points.name,
        condition=condition,
        shifts=[width.bit_length() - 1 - finest for width in widths],
    )
