"""Filters in the manner of MongoDB find the runs that the filter describes."""

import itertools
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell.api._filters import filter_text, sort_key
from stepwell.errors import FilterError
from stepwell_store.queries import edit_run, list_runs
from stepwell_store.queries.filter import parse_filter
from tests.api.conftest import World
from tests.store.made import START_US, event, fresh_project, log, tell, writer

VALUES = (1, 2, 2.5, -1, "1", "two", 'qu"o\\te | (x)', "true", True, False, None)
MISSING = object()
NAMES = ("lr", "deep.value", "odd name")
RUNS = [
    dict(zip(NAMES, values, strict=True))
    for values in itertools.islice(
        itertools.product((*VALUES, MISSING), ("two", 2, MISSING), (True, 2.5, MISSING)), 0, None, 3
    )
]
STATES = ("finished", "failed")


@pytest.fixture(scope="module")
def project(world: World) -> str:
    name = fresh_project()
    for number, config in enumerate(RUNS):
        who = writer(name, f"r{number}")
        held = {key: value for key, value in config.items() if value is not MISSING}
        tell(
            world.store,
            who,
            event("start", {**_START, "project": name, "run_id": f"r{number}"}),
            event("run", {"name": f"run {number % 5}", "tags": ["a", "b c"][: number % 3]}),
            event("config", {"set": held, "delete": []}),
            event(
                "finish", {"state": STATES[number % 2], "exit_code": 0}, time_us=START_US + 10**7
            ),
        )
    return name


_START = {
    "writer_id": "w",
    "label": "",
    "rank": 0,
    "world_size": 1,
    "name": "",
    "host": "node-a",
    "pid": 42,
    "started_at": START_US,
    "client": "test",
    "resumed": False,
}


def matches(filters: Any, number: int) -> bool:
    """Return what MongoDB says; what is null or not there is the same."""
    for key, value in filters.items():
        match key:
            case "$and":
                found = all(matches(each, number) for each in value)
            case "$or":
                found = any(matches(each, number) for each in value)
            case "$nor":
                found = not any(matches(each, number) for each in value)
            case _:
                found = _holds(_value(key, number), value)
        if not found:
            return False
    return True


def _value(key: str, number: int) -> Any:
    match key:
        case "state":
            return STATES[number % 2]
        case "display_name":
            return f"run {number % 5}"
        case "tags":
            return ["a", "b c"][: number % 3]
    found = RUNS[number][key.removeprefix("config.")]
    return None if found is MISSING else found


def _holds(held: Any, wanted: Any) -> bool:
    if not isinstance(wanted, dict):
        return _same(held, wanted)
    for name, value in wanted.items():
        match name:
            case "$eq":
                found = _same(held, value)
            case "$ne":
                found = not _same(held, value)
            case "$in":
                found = any(_same(held, each) for each in value)
            case "$nin":
                found = not any(_same(held, each) for each in value)
            case "$exists":
                found = (held not in (None, [])) == value
            case "$regex":
                texts = held if isinstance(held, list) else [held]
                found = any(isinstance(each, str) and re.search(value, each) for each in texts)
            case "$not":
                found = not _holds(held, value)
            case _:
                found = _ordered(held, name, value)
        if not found:
            return False
    return True


def _same(held: Any, wanted: Any) -> bool:
    if isinstance(held, list):
        return wanted in held if wanted is not None else not held
    if isinstance(held, bool) != isinstance(wanted, bool):
        # The engine keeps booleans as numbers, and a number finds them.
        return isinstance(held, bool) and not isinstance(wanted, str) and held == wanted
    return bool(held == wanted)


def _ordered(held: Any, name: str, value: Any) -> bool:
    if held is None or isinstance(held, str) != isinstance(value, str):
        return False
    if isinstance(held, str):
        held, value = held.encode(), value.encode()
    return {
        "$gt": held > value,
        "$gte": held >= value,
        "$lt": held < value,
        "$lte": held <= value,
    }[name]  # fmt: skip


_values = st.sampled_from(VALUES)
_operations = st.one_of(
    _values,
    st.fixed_dictionaries({"$eq": _values}),
    st.fixed_dictionaries({"$ne": _values}),
    st.fixed_dictionaries({"$in": st.lists(_values, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"$nin": st.lists(_values, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"$exists": st.booleans()}),
    st.fixed_dictionaries({"$regex": st.sampled_from(["^t", "o", "[0-9]", r"\\"])}),
    st.dictionaries(
        st.sampled_from(["$gt", "$gte", "$lt", "$lte"]),
        st.sampled_from([1, 2.5, -1, "two", "a"]),
        min_size=1,
        max_size=2,
    ),
)
_texts = st.sampled_from(["a", "b c", "run 1", "run 4"])
_conditions = st.one_of(
    st.builds(
        lambda name, value: {f"config.{name}": value}, st.sampled_from(NAMES[::2]), _operations
    ),
    st.builds(lambda value: {"state": value}, st.sampled_from(STATES)),
    st.builds(lambda value: {"state": {"$ne": value}}, st.sampled_from(STATES)),
    st.builds(lambda value: {"tags": value}, _texts),
    st.builds(lambda value: {"tags": {"$nin": [value]}}, _texts),
    st.builds(lambda value: {"tags": {"$exists": value}}, st.booleans()),
    st.builds(lambda value: {"display_name": {"$in": value}}, st.lists(_texts, min_size=1)),
    st.builds(lambda value: {"display_name": {"$regex": value}}, st.sampled_from(["1$", "^run"])),
)
_filters = st.recursive(
    _conditions,
    lambda inner: st.one_of(
        st.builds(
            lambda key, parts: {key: parts},
            st.sampled_from(["$and", "$or", "$nor"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        st.builds(lambda one, other: {**one, **other}, inner, inner),
    ),
    max_leaves=6,
)


@settings(max_examples=30, deadline=None)
@given(filters=_filters)
def test_a_filter_finds_what_mongodb_finds(world: World, project: str, filters: Any) -> None:
    text = filter_text(filters)
    page = list_runs(world.store, project, filter=text, limit=1000)
    expected = {f"r{number}" for number in range(len(RUNS)) if matches(filters, number)}
    assert {each.run_id for each in page.items} == expected, (json.dumps(filters), text)


@pytest.mark.parametrize(
    ("filters", "text"),
    [
        (None, ""),
        ({}, ""),
        ("lr<0.1 tag:a", "lr<0.1 tag:a"),
        ({"config.lr": {"$lt": 0.1, "$gte": 1e-5}}, '("config.lr"<0.1 "config.lr">=1e-05)'),
        ({"summary_metrics.acc": {"$gt": 1}}, '"summary.acc">1'),
        ({"jobType": "eval", "group": None}, '(job_type:"eval" group:none)'),
        ({"$nor": [{"state": "failed"}]}, '-state:"failed"'),
        ({"created_at": {"$gt": "2026-01-05"}}, "created>=2026-01-05T00:00:00"),
        ({"createdAt": {"$lte": "2026-01-05T10:00:00.5+02:00"}}, "created<2026-01-05T08:00:01"),
        ({"metric.loss:min": {"$lt": 3}}, '"metric.loss":min<3'),
        ({"display_name": {"$regex": "big", "$options": "i"}}, 'name~"(?i)big"'),
        ({"name": "x"}, '(name:"x" | id:"x")'),
        ({"archived": True}, "archived:true"),
        ({"archived": {"$in": [True, False]}}, "(archived:true | archived:false)"),
    ],
)
def test_texts(filters: Any, text: str) -> None:
    assert filter_text(filters) == text
    parse_filter(text)


def test_the_value_of_their_config_is_ours(world: World) -> None:
    project = fresh_project()
    for run_id, config in (("flat", {"lr": 1}), ("nested", {"lr": {"value": 1}}), ("none", {})):
        tell(
            world.store,
            writer(project, run_id),
            event("start", {**_START, "project": project, "run_id": run_id}),
            event("config", {"set": config, "delete": []}),
        )
        log(world.store, writer(project, run_id), [0], loss=[1.0])
    for key in ("config.lr.value", "config.lr"):
        text = filter_text({key: 1})
        found = {each.run_id for each in list_runs(world.store, project, filter=text).items}
        assert found == ({"flat", "nested"} if key.endswith("value") else {"flat"})


def test_archived_runs_are_found_by_a_filter_that_names_them(world: World) -> None:
    project = fresh_project()
    for run_id in ("kept", "put away"):
        start = event("start", {**_START, "project": project, "run_id": run_id})
        tell(world.store, writer(project, run_id), start)
    edit_run(world.store, project, "put away", archived=True)
    found = {
        name: {each.id for each in world.api.runs(project, filters)}
        for name, filters in (
            ("none", {}),
            ("true", {"archived": True}),
            ("false", {"archived": False}),
            ("not", {"archived": {"$ne": True}}),
        )
    }
    assert found == {"none": {"kept"}, "true": {"put away"}, "false": {"kept"}, "not": {"kept"}}


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (
            {"lr": 1},
            r"lr: runs have no such field; .* use config\.lr or summary_metrics\.lr",
        ),
        ({"stat": "x"}, "did you mean 'state'"),
        (
            {"config.lr": {"$gtt": 1}},
            r"config.lr: \$gtt is not supported as an operator.*did you mean '\$gt'",
        ),
        (
            {"$not": {"config.lr": 1}},
            r"^\$not must be below a key; expected, for example, \{'config\.lr': \{'\$not'[^?]*$",
        ),
        ({"$gt": 1}, r"^\$gt must be below a key"),
        ({"config.lr": {"$or": [1]}}, r"^config\.lr: \$or combines whole filters"),
        ({"$xor": []}, r"\$xor is not supported as an operator"),
        ({"$or": []}, r"\$or: expected a list of filters"),
        ({"config.lr": {"$in": []}}, r"config.lr: \$in expects a list"),
        ({"config.lr": [1, 2]}, "cannot be compared; expected"),
        ({"config.lr": {"$gt": True}}, "expects a number"),
        ({"config.lr": {"$gt": float("nan")}}, "expects a number"),
        ({"config.lr": {"$regex": 3}}, "expects an expression"),
        ({"config.lr": {"$options": "i"}}, r"without \$regex"),
        ({"archived": "yes"}, "archived: expected True or False, not 'yes'"),
        ({"username": "me"}, "runs have no user here"),
        ({"created_at": "soon"}, "is not a time"),
        ([{"state": "x"}], "is not a filter"),
    ],
)
def test_what_cannot_be_asked_is_refused(filters: Any, message: str) -> None:
    with pytest.raises(FilterError, match=message):
        filter_text(filters)


def test_orders() -> None:
    orders = ["+created_at", "-created_at", "-summary_metrics.acc", "config.lr", "state"]
    assert [sort_key(each) for each in orders] == [
        "created",
        "-created",
        "-summary.acc",
        "config.lr",
        "state",
    ]
    with pytest.raises(FilterError, match="no such field"):
        sort_key("-acc")
