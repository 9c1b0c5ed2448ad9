"""Blocks: sorted, deterministic, and the same whatever the shape in which rows arrive."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stepwell_store.identity import node_fingerprint, series_fingerprint
from stepwell_store.native import decode_blocks
from tests.store.made import START_US, build, decoded, event, rows, writer

SCHEMAS = {1: ("loss", "accuracy"), 2: ("loss",), 3: ("loss", "accuracy")}


def table(blocks, name):
    (block,) = (block for block in blocks if block.table == name)
    return decode_blocks(b"".join(block.native()))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.sampled_from([1, 2, 3]),
            st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 3)), min_size=1, max_size=50),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_points_are_sorted_by_series_step_and_time_and_ties_keep_log_order(stretches):
    logged = []
    parts = []
    for number, (who, schema, lines) in enumerate(stretches):
        metrics = SCHEMAS[schema]
        values = np.arange(len(lines) * len(metrics), dtype=float).reshape(len(lines), -1)
        values += number * 1000
        steps, times = [line[0] for line in lines], [line[1] for line in lines]
        parts.append((writer("p", label=str(who)), decoded([rows(schema, steps, values, times)])))
        logged.append((str(who), metrics, steps, times, values))
    # Rows of one writer and key tuple come together, in the order of the first of each.
    groups = {}
    for label, metrics, steps, times, values in logged:
        group = groups.setdefault((label, metrics), [])
        group.extend(zip(steps, times, values.tolist(), strict=True))
    wanted = [
        (series_fingerprint("p", "run", metric, label), step, time, line[column])
        for (label, metrics), group in groups.items()
        for column, metric in enumerate(metrics)
        for step, time, line in group
    ]
    wanted.sort(key=lambda point: point[:3])
    found = table(build(*parts, schemas=SCHEMAS), "points")
    assert list(zip(*(found[name].tolist() for name in found), strict=True)) == wanted


def test_the_same_records_make_the_same_bytes():
    def make():
        first = decoded(
            [rows(1, range(100), np.arange(200))], [event("config", {"set": {"lr": 0.1}})]
        )
        second = decoded([rows(2, range(100), np.arange(100))])
        return build((writer("p"), first), (writer("p", label="1"), second), schemas=SCHEMAS)

    assert [(each.table, each.digest()) for each in make()] == [
        (each.table, each.digest()) for each in make()
    ]


def test_another_value_makes_another_digest():
    def digest(value):
        blocks = build((writer("p"), decoded([rows(2, [1], [value])])), schemas=SCHEMAS)
        return {block.table: block.digest() for block in blocks}

    assert digest(1.0)["points"] != digest(2.0)["points"]
    assert digest(1.0)["series"] == digest(2.0)["series"]


def test_one_stretch_and_many_make_the_same_points():
    whole = decoded([rows(1, range(100), np.arange(200))])
    halves = [
        decoded([rows(1, range(60), np.arange(120))]),
        decoded([rows(1, range(60, 100), np.arange(120, 200))]),
    ]
    one = build((writer("p"), whole), schemas=SCHEMAS)
    two = build(*((writer("p"), half) for half in halves), schemas=SCHEMAS)
    assert [block.digest() for block in one] == [block.digest() for block in two]


def test_every_series_of_an_extent_is_named():
    first = decoded([rows(1, [0], [1, 2])])
    second = decoded([rows(2, [0], [3])])
    blocks = build((writer("p"), first), (writer("p", "other", label="1"), second), schemas=SCHEMAS)
    found = table(blocks, "series")
    names = ("project", "run_id", "metric", "label", "series")
    assert sorted(zip(*(found[name].tolist() for name in names), strict=True)) == sorted(
        (*key, series_fingerprint(key[0], key[1], key[2], key[3]))
        for key in (
            ("p", "run", "accuracy", ""),
            ("p", "run", "loss", ""),
            ("p", "other", "loss", "1"),
        )
    )


def test_rows_of_a_node_go_to_tables_of_their_own():
    who = writer("", "daemon-1", scope="node", host="node-a")
    blocks = build((who, decoded([rows(2, [3, 1], [5, 6])])), schemas=SCHEMAS)
    assert [block.table for block in blocks] == ["node_series", "node_points", "node_rollups"]
    points = table(blocks, "node_points")
    assert set(points["series"].tolist()) == {node_fingerprint("node-a", "loss", "")}
    assert points["time"].tolist() == [START_US + 1000, START_US + 3000]
    assert points["value"].tolist() == [6, 5]


def test_nothing_makes_no_blocks():
    assert build() == []
    assert build((writer("p"), decoded())) == []


def test_an_event_that_looks_wrong_or_is_unknown_is_kept_as_it_is():
    odd = [
        event("alert", {"title": "x", "at": math.nan}),
        event("console", {"lines": "no list of lines"}),
        event("gap", {"reason": "full"}),
        event("finish", {}),
        event("config", {"set": 3}),
    ]
    blocks = build((writer("p"), decoded(events=odd)))
    assert [block.table for block in blocks] == ["events"]
    found = table(blocks, "events")
    assert sorted(found["kind"].tolist()) == ["alert", "config", "console", "finish", "gap"]
    assert '{"title":"x","at":NaN}' in found["body"].tolist()


def test_of_a_path_set_twice_in_an_extent_the_later_is_sent():
    events = [event("config", {"set": {"a": {"b": number}}}, time_us=7) for number in (1, 2)]
    found = table(build((writer("p"), decoded(events=events))), "attributes")
    assert (found["path"].tolist(), found["int"].tolist()) == (["a.b"], [2])


def test_numbers_beyond_their_column_are_cut_not_refused():
    start = event("start", {"rank": 2**40, "started_at": 2**70, "world_size": -(2**40)})
    gap = event("gap", {"reason": "r", "rows": -1, "points": 3, "first_step": 2**64})
    blocks = build((writer("p"), decoded(events=[start, gap])))
    assert table(blocks, "writers")["rank"].tolist() == [2**31 - 1]
    assert table(blocks, "gaps")["first_step"].tolist() == [2**63 - 1]
