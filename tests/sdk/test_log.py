"""What `log` takes, at which step it stands, and that every value has an outcome."""

import datetime
import decimal
import enum
import json
import math
import struct
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell._json_conversion import VALUE_ITEMS_MAX
from stepwell._json_values import as_json
from stepwell.errors import RunFinishedError
from stepwell_wire.limits import METRIC_NAME_BYTES_MAX, SCHEMA_KEYS_MAX
from tests.sdk.conftest import Start
from tests.sdk.held import Held, read_journal


def logged(run: Any, *rows: Any) -> Held:
    for row in rows:
        run.log(row)
    return read_journal(run._journal_dir)


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        0,
        -7,
        True,
        False,
        math.inf,
        -math.inf,
        2**53 + 1,
        -(2**100),
        np.float32(0.1),
        np.float64(3.0),
        np.int64(-5),
        np.bool_(True),
        np.array(2.5),
        np.array([2.5]),
        np.array([[7]]),
        decimal.Decimal("1.25"),
        5e-324,
    ],
    ids=repr,
)
def test_anything_that_is_one_number_becomes_a_point(offline: Start, value: Any) -> None:
    run = offline()
    expected = float(value.reshape(-1)[0]) if isinstance(value, np.ndarray) else float(value)
    held = logged(run, {"x": value}, {"x": value})
    assert held.series("x") == [(0, expected), (1, expected)]
    assert held.bodies("values") == []


def test_nan_is_kept_as_nan(offline: Start) -> None:
    held = logged(offline(), {"x": math.nan}, {"x": 1.0})
    ((_, first), second) = held.series("x")
    assert math.isnan(first)
    assert second == (1, 1.0)


class Colour(enum.Enum):
    RED = 3


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __float__(self) -> float:
        raise RuntimeError("no float")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("text", "text"),
        ("", ""),
        ("ünïcode ✓", "ünïcode ✓"),
        ("lone \ud800 surrogate", "lone \\ud800 surrogate"),
        (None, None),
        ([1, 2.5, "a", None], [1, 2.5, "a", None]),
        ((1, 2), [1, 2]),
        ({}, {}),
        ([{"a": {"b": (1,)}}], [{"a": {"b": [1]}}]),
        (np.array([1.0, 2.0]), [1.0, 2.0]),
        (10**400, str(10**400)),
        (datetime.date(2024, 2, 29), "2024-02-29"),
        (datetime.datetime(2024, 2, 29, 12), "2024-02-29T12:00:00"),
        (Colour.RED, "RED"),
        (b"bytes", "bytes"),
        (b"\xff", "b'\\xff'"),
        (1 + 2j, "(1+2j)"),
        (Broken(), "<Broken without text: RuntimeError>"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.slow
def test_anything_else_is_kept_as_it_is_or_as_text(
    offline: Start, value: Any, kept: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    held = logged(offline(), {"x": value, "loss": 0.5})
    assert held.texts("x") == [(0, kept)]
    assert held.series("loss") == [(0, 0.5)]


def test_a_name_that_is_no_valid_text_is_kept_as_one_that_is(offline: Start) -> None:
    run = offline()
    row = dict.fromkeys(("caf\udce9", "caf\udce8", "caf?"), 0.5) | {"caf\udce8": 0.25}
    held = logged(run, row, row)
    assert held.rows[0].values == {"caf\\udce9": 0.5, "caf\\udce8": 0.25, "caf?": 0.5}
    assert held.rows[1].values == held.rows[0].values
    assert run.summary["caf\udce9"] == 0.5


def test_an_integer_beyond_what_python_prints_is_kept_in_hexadecimal(offline: Start) -> None:
    held = logged(offline(), {"x": 2**20_000})
    assert held.texts("x") == [(0, hex(2**20_000))]


def test_an_unknown_object_is_cut_and_warned_about_once(
    offline: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    class Thing:
        def __repr__(self) -> str:
            return "t" * 5000

    held = logged(offline(), {"x": Thing()}, {"x": Thing()})
    assert held.texts("x") == [(0, "t" * 1000), (1, "t" * 1000)]
    assert capfd.readouterr().err.count("is not a number") == 1


def test_nested_dicts_are_joined_with_dots(offline: Start) -> None:
    held = logged(offline(), {"a": {"b": 1, "c": {"d": 2.0, "e": "x"}}, "f": 3})
    assert held.rows[0].values == {"a.b": 1.0, "a.c.d": 2.0, "f": 3.0}
    assert held.texts("a.c.e") == [(0, "x")]


def test_a_dict_that_contains_itself_ends(offline: Start) -> None:
    data: dict[str, Any] = {"x": 1.0}
    data["again"] = data
    items: list[Any] = []
    items.append(items)
    held = logged(offline(), data, {"items": items, "y": 2.0})
    assert held.series("x") == [(0, 1.0)]
    assert held.series("y") == [(1, 2.0)]


def test_an_empty_dict_moves_the_step_on_and_writes_no_point(offline: Start) -> None:
    run = offline()
    held = logged(run, {}, {"x": 1.0})
    assert held.series("x") == [(1, 1.0)]


def test_other_mappings_are_taken_like_dicts(offline: Start) -> None:
    held = logged(offline(), OrderedDict(b=1.0, a=2.0))
    assert held.rows[0].values == {"b": 1.0, "a": 2.0}


def test_a_huge_dict_becomes_several_rows_of_one_step_and_time(offline: Start) -> None:
    data = {f"m{i}": float(i) for i in range(SCHEMA_KEYS_MAX * 2 + 5)}
    run = offline()
    held = logged(run, data, {"m0": -1.0})
    rows = [row for row in held.rows if row.step == 0]
    assert [len(row.values) for row in rows] == [SCHEMA_KEYS_MAX, SCHEMA_KEYS_MAX, 5]
    assert len({row.time_us for row in rows}) == 1
    assert {key: value for row in rows for key, value in row.values.items()} == data
    assert run.step == 2


def test_keys_that_are_no_strings_become_some_with_one_warning(
    offline: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    run = offline()
    for _ in range(3):
        run.log({1: 0.5, None: 1.0, ("a", 2): 2.0})
    held = read_journal(run._journal_dir)
    assert [row.values for row in held.rows] == [{"1": 0.5, "None": 1.0, "('a', 2)": 2.0}] * 3
    assert capfd.readouterr().err.count("metric names are strings") == 1


def test_two_keys_of_one_name_leave_the_later_value(offline: Start) -> None:
    held = logged(offline(), {1: 0.5, "1": 0.75}, {1: 1.5, "1": 1.75}, {"a.b": 1, "a": {"b": 2}})
    assert held.series("1") == [(0, 0.75), (1, 1.75)]
    assert held.series("a.b") == [(2, 2.0)]


def test_over_long_names_are_cut_and_stay_two(
    offline: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    stem = "é" * 400
    run = offline()
    for _ in range(2):
        run.log({stem + "a": 1.0, stem + "b": 2.0})
    held = read_journal(run._journal_dir)
    names = list(held.rows[0].values)
    assert len(set(names)) == 2
    assert all(len(name.encode()) <= METRIC_NAME_BYTES_MAX for name in names)
    assert list(held.rows[1].values) == names
    assert capfd.readouterr().err.count("cut to") == 1


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.holds("log-never-waits", "values-come-back")
@pytest.mark.slow
def test_no_value_raises_and_every_number_is_kept_exactly(offline: Start) -> None:
    @settings(max_examples=150, deadline=None)
    @given(st.dictionaries(st.text(max_size=8), json_like, max_size=6))
    def check(data: dict[str, Any]) -> None:
        run = offline()
        run.log(data, step=3)
        run.log(data, step=3)
        held = read_journal(run._journal_dir)
        run.finish()
        flat = flatten(data)
        points = {key: value for key, value in flat.items() if is_number(value)}
        for key, value in points.items():
            found = held.series(key)
            packed = struct.pack("<d", float(value))
            assert [struct.pack("<d", each) for _, each in found] == [packed, packed]
        others = {key for key in flat if key not in points}
        assert {key for body in held.bodies("values") for key in body["values"]} == others
        assert all(row.step == 3 for row in held.rows)

    check()


def is_number(value: Any) -> bool:
    if isinstance(value, bool | float):
        return True
    return isinstance(value, int) and abs(value) < 2**1023


def flatten(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in data.items():
        name = prefix + key.encode("utf-8", "replace").decode()
        if isinstance(value, dict) and value:
            found.update(flatten(value, name + "."))
        else:
            found[name] = value
    return found


# ---------------------------------------------------------------------------- steps


def test_without_a_step_each_call_is_one_step(offline: Start) -> None:
    run = offline()
    held = logged(run, {"x": 1}, {"x": 2}, {"y": 3})
    assert (held.series("x"), held.series("y")) == ([(0, 1.0), (1, 2.0)], [(2, 3.0)])
    assert run.step == 3


def test_commit_false_leaves_the_step_open(offline: Start) -> None:
    run = offline()
    run.log({"x": 1}, commit=False)
    run.log({"y": 2}, commit=False)
    run.log({"z": 3})
    run.log({"x": 4})
    held = read_journal(run._journal_dir)
    assert [(row.step, list(row.values)) for row in held.rows] == [
        (0, ["x"]),
        (0, ["y"]),
        (0, ["z"]),
        (1, ["x"]),
    ]


def test_a_given_step_stays_open_until_a_call_without_one(offline: Start) -> None:
    run = offline()
    for step in (10, 20):  # The first time along the slow path, the second along the fast one.
        run.log({"x": 1}, step=step)
        run.log({"x": 2})
        run.log({"x": 3})
    held = read_journal(run._journal_dir)
    assert [step for step, _ in held.series("x")] == [10, 10, 11, 20, 20, 21]


def test_commit_true_closes_a_given_step(offline: Start) -> None:
    run = offline()
    for step in (5, 15):
        run.log({"x": 1}, step=step, commit=True)
        run.log({"x": 2})
    assert [step for step, _ in read_journal(run._journal_dir).series("x")] == [5, 6, 15, 16]


def test_a_late_row_moves_the_current_step_nowhere(offline: Start) -> None:
    run = offline()
    run.log({"x": 0.0}, step=10)
    for late in (3, 4):  # Along the fast path; with another key along the slow one.
        run.log({"x": 1.0}, step=late)
        run.log({"y": 1.0}, step=late, commit=True)
    assert run.step == 10
    run.log({"x": 2.0})
    assert [step for step, _ in read_journal(run._journal_dir).series("x")] == [10, 3, 4, 10]


def test_decreasing_and_repeated_steps_are_all_kept_in_order(offline: Start) -> None:
    run = offline()
    for step in (5, 3, 3, 4, 0):
        run.log({"x": float(step)}, step=step)
    held = read_journal(run._journal_dir)
    assert [step for step, _ in held.series("x")] == [5, 3, 3, 4, 0]
    times = [row.time_us for row in held.rows]
    assert times == sorted(set(times))  # So that "later" is always decided.


def test_a_step_may_be_any_integer_type(offline: Start) -> None:
    run = offline()
    run.log({"x": 1}, step=np.int32(7))
    run.log({"x": 1}, step=np.int64(8))
    assert [step for step, _ in read_journal(run._journal_dir).series("x")] == [7, 8]


# ---------------------------------------------------------------------------- misuse


@pytest.mark.parametrize("data", [None, 3, "ab", [("x", 1)], ["x"], {"x"}, object], ids=repr)
def test_what_is_no_dict_is_a_type_error(offline: Start, data: Any) -> None:
    run = offline()
    run.log({"x": 1.0})
    with pytest.raises(TypeError, match="expected a dict"):
        run.log(data)
    assert run.step == 1


@pytest.mark.parametrize("step", [1.0, "1", None.__class__, [1]], ids=repr)
def test_a_step_that_is_no_integer_is_a_type_error(offline: Start, step: Any) -> None:
    run = offline()
    run.log({"x": 1.0})
    with pytest.raises(TypeError, match="step must be an integer"):
        run.log({"x": 2.0}, step=step)
    assert len(read_journal(run._journal_dir).rows) == 1


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_the_steps_after_the_largest_one_fit_into_64_bits(start: Start, mode: str) -> None:
    run = start(mode=mode)
    for _ in range(2):  # The slow path, then the fast one.
        run.log({"x": 1.0}, step=-(2**63))
        run.log({"x": 1.0}, step=2**62, commit=True)
        run.log({"x": 1.0})
        for step in (2**62 + 1, 2**63 - 1, 2**63, 2**70):
            with pytest.raises(ValueError, match=r"too large; the largest step is 2\*\*62"):
                run.log({"x": 2.0}, step=step)
            with pytest.raises(ValueError, match="too large"):
                run.log({"note": "a"}, step=step)
        with pytest.raises(ValueError, match=r"too small; the smallest step is -2\*\*63"):
            run.log({"x": 2.0}, step=-(2**63) - 1)
    assert run.step == 2**62 + 3
    run.finish()


def test_a_run_with_a_larger_step_of_a_former_client_is_resumed(start: Start, folder: Path) -> None:
    with start(mode="offline", id="again") as run:
        run.log({"x": 1.0})
    (note,) = (folder / "journals").rglob("again.step")
    note.write_bytes((2**63 - 1).to_bytes(8, "little"))
    with start(mode="offline", id="again", resume="must") as run:
        run.log({"x": 1.0})
        assert run.step == 2**62 + 2


def test_a_finished_run_takes_no_more(offline: Start) -> None:
    run = offline()
    run.log({"x": 1.0})
    run.finish()
    run.finish()
    with pytest.raises(RunFinishedError, match="finished"):
        run.log({"x": 2.0})
    with pytest.raises(RunFinishedError):
        run.define_metric("x")


# ---------------------------------------------------------------------------- at once


def test_threads_lose_nothing_and_keep_their_own_order(offline: Start) -> None:
    run = offline(settings={"journal_segment_bytes": 64 * 1024})
    barrier = threading.Barrier(4)

    def work(number: int) -> None:
        barrier.wait()
        for i in range(2000):
            run.log({f"t{number}": float(i)}, step=i)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = read_journal(run._journal_dir)
    for number in range(4):
        assert held.series(f"t{number}") == [(i, float(i)) for i in range(2000)]
    times = [row.time_us for row in held.rows]
    assert times == sorted(set(times))


def test_a_value_whose_float_logs_itself_leaves_both_rows(offline: Start) -> None:
    run = offline()

    class Nested:
        def __float__(self) -> float:
            run.log({"inner": 1.0, "more": 2.0})
            return 3.0

    for _ in range(3):
        run.log({"outer": Nested()})
    held = read_journal(run._journal_dir)
    assert [value for _, value in held.series("outer")] == [3.0] * 3
    assert {value for _, value in held.series("inner")} == {1.0}


@pytest.mark.parametrize(
    "make", [lambda inner: [inner, inner], lambda inner: {"a": inner, "b": inner}]
)
@pytest.mark.slow
def test_a_value_that_holds_itself_many_times_over_is_cut(make: Callable[[Any], Any]) -> None:
    """Written out in full it would have 2^31 items."""
    value: Any = 1
    for _ in range(31):
        value = make(value)
    told: list[str] = []
    cut = as_json(value, lambda kind, text: told.append(text))
    assert any("too large" in text for text in told)
    assert 1 <= json.dumps(cut).count("1") <= VALUE_ITEMS_MAX
