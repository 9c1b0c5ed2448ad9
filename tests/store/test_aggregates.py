"""Statistics and rollups, in numpy and after the engine merged them, against a plain oracle."""

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell_store import Store
from stepwell_store.aggregates import ROLLUP_WIDTHS, Points, aggregate
from stepwell_store.identity import series_fingerprint
from stepwell_store.recomputing import recompute
from tests.store.made import build, decoded, fresh_project, insert, rows, writer

# Small multiples of 1/8 add up exactly in any order.
values = st.one_of(
    st.integers(-1000, 1000).map(lambda n: n / 8),
    st.sampled_from([math.nan, math.inf, -math.inf]),
)
steps = st.integers(-1100, 1100)
# (writer, schema, [(step, value, value)]) in log order; both schemas hold metric "b".
SCHEMAS = {1: ("a", "b"), 2: ("b", "c")}
stretch = st.tuples(
    st.integers(0, 1),
    st.sampled_from([1, 2]),
    st.lists(st.tuples(steps, values, values), min_size=1, max_size=40),
)
extents = st.lists(st.lists(stretch, min_size=1, max_size=4), min_size=1, max_size=3)


def expected(points):
    """Return what one slice of ``points`` (step, time, value) aggregates to."""
    finite = [value for _, _, value in points if math.isfinite(value)]
    ordered = sorted(points, key=lambda point: point[:2])
    return {
        "count": len(points),
        "nan_count": sum(math.isnan(value) for _, _, value in points),
        "positive_inf_count": sum(value == math.inf for _, _, value in points),
        "negative_inf_count": sum(value == -math.inf for _, _, value in points),
        "min": min(finite, default=math.inf),
        "max": max(finite, default=-math.inf),
        "sum": sum(finite),
        "first": ordered[0],
        "last": ordered[-1],
        "time_min": min(time for _, time, _ in points),
        "time_max": max(time for _, time, _ in points),
    }


def same(found, wanted):
    if isinstance(wanted, tuple):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    return found == wanted or (found != found and wanted != wanted)


@given(st.lists(st.tuples(st.integers(0, 3), steps, values), min_size=1, max_size=300))
@pytest.mark.slow
def test_numpy_agrees_with_the_oracle(points):
    held = sorted(
        ((series, step, time, value) for time, (series, step, value) in enumerate(points)),
        key=lambda point: point[:3],
    )
    arrays = Points(
        np.array([point[0] for point in held], dtype=np.uint64),
        np.array([point[1] for point in held], dtype=np.int64),
        np.array([point[2] for point in held], dtype=np.int64),
        np.array([point[3] for point in held], dtype=np.float64),
    )
    rollups, statistics = aggregate(arrays)
    for width, table in [*zip(ROLLUP_WIDTHS, rollups, strict=True), (None, statistics)]:
        slices = defaultdict(list)
        for series, *point in held:
            slices[series, point[0] // width if width else 0].append(tuple(point))
        assert list(zip(table.series.tolist(), table.bucket.tolist(), strict=True)) == list(slices)
        for row, points_of_slice in enumerate(slices.values()):
            wanted = expected(points_of_slice)
            last = (table.last_step[row], table.last_time[row], table.last_value[row])
            first = (table.first_step[row], table.first_time[row], table.first_value[row])
            found = {
                "count": table.count[row],
                "nan_count": table.nan_count[row],
                "positive_inf_count": table.positive_inf_count[row],
                "negative_inf_count": table.negative_inf_count[row],
                "min": table.minimum[row],
                "max": table.maximum[row],
                "sum": table.total[row],
                "first": first,
                "last": last,
                "time_min": table.time_min[row],
                "time_max": table.time_max[row],
            }
            assert all(same(found[name], wanted[name]) for name in wanted), (found, wanted)


@pytest.mark.holds("stored-once-in-servers")
@settings(max_examples=20, deadline=None)
@given(extents)
def test_points_statistics_and_rollups_are_exact_in_the_engine_and_after_a_resend(
    store: Store, logged
):
    project = fresh_project()
    clock = 0
    points = defaultdict(list)
    sent = []
    for number, extent in enumerate(logged):
        parts = []
        for who, schema, lines in extent:
            times = list(range(clock, clock + len(lines)))
            clock += len(lines)
            made = rows(schema, [line[0] for line in lines], [line[1:] for line in lines], times)
            parts.append((writer(project, label=str(who)), decoded([made])))
            for time, (step, *line) in zip(times, lines, strict=True):
                for metric, value in zip(SCHEMAS[schema], line, strict=True):
                    points[metric, str(who)].append((step, time, value))
        blocks = build(*parts, schemas=SCHEMAS)
        insert(store, blocks, f"{project}-{number}")
        sent.append((blocks, f"{project}-{number}"))
    for _ in range(2):
        check_engine(store, project, points)
        for blocks, extent in sent:
            insert(store, blocks, extent, may_repeat=True)
    series = [series_fingerprint(project, "run", metric, label) for metric, label in points]
    for _ in range(2):
        recompute(store, series)
        check_engine(store, project, points)


def check_engine(store, project, points):
    for (metric, label), held in points.items():
        parameters = {"series": series_fingerprint(project, "run", metric, label)}
        found = store.query(
            "SELECT step, time, value FROM points WHERE series = {series:UInt64} "
            "ORDER BY step, time",
            parameters=parameters,
        )
        ordered = sorted(held, key=lambda point: point[:2])
        assert len(found) == len(ordered)
        assert all(
            same(tuple(row.values()), point) for row, point in zip(found, ordered, strict=True)
        )
        slices = {(0, 0): held}
        for width in ROLLUP_WIDTHS:
            for point in held:
                slices.setdefault((width, point[0] // width), []).append(point)
        shared = (
            "sum(count) AS n, sum(nan_count) AS nans, sum(positive_inf_count) AS ps, "
            "sum(negative_inf_count) AS ns, min(min) AS low, max(max) AS high, sum(sum) AS total, "
            "tuple(max(last).step, max(last).time, max(last).value) AS latest, "
            "tuple(min(first).step, min(first).time, min(first).value) AS earliest"
        )
        rolled = store.query(
            f"SELECT width, bucket, {shared} FROM step_rollups WHERE series = {{series:UInt64}} "
            "GROUP BY width, bucket",
            parameters=parameters,
        )
        whole = store.query(
            f"SELECT 0 AS width, 0 AS bucket, {shared}, min(time_min) AS t0, max(time_max) AS t1 "
            "FROM series_stats WHERE series = {series:UInt64}",
            parameters=parameters,
        )
        assert len(rolled) + 1 == len(slices)
        for row in rolled + whole:
            wanted = expected(slices[row["width"], row["bucket"]])
            pairs = {
                "n": "count",
                "nans": "nan_count",
                "ps": "positive_inf_count",
                "ns": "negative_inf_count",
                "low": "min",
                "high": "max",
                "total": "sum",
            }
            for found_name, name in pairs.items():
                assert row[found_name] == wanted[name], (row, wanted)
            assert same(tuple(row["latest"]), wanted["last"])
            assert same(tuple(row["earliest"]), wanted["first"])
            if "t0" in row:
                assert (row["t0"], row["t1"]) == (wanted["time_min"], wanted["time_max"])
