"""Values as people read them, and as strict JSON."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.cli import text
from stepwell.cli.gaps import gap_text, missing_text

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_json_is_strict_whatever_was_logged(value: Any) -> None:
    def refuse(token: str) -> None:
        raise AssertionError(token)

    json.loads(text.json_text(value), parse_constant=refuse)


def test_what_json_has_no_number_for_is_text_that_float_reads() -> None:
    odd = [math.nan, math.inf, -math.inf]
    held = json.loads(text.json_text(odd))
    assert held == ["NaN", "Infinity", "-Infinity"]
    assert [repr(float(each)) for each in held] == [repr(each) for each in odd]


@given(st.text())
def test_nothing_that_was_logged_steers_the_terminal(logged: str) -> None:
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in text.plain(logged))


def test_colours_leave_no_rest() -> None:
    assert text.plain("\x1b[1;31mred\x1b[0m\x1b]0;title\x07!") == "red!"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "-"),
        (0.04, "40ms"),
        (4.25, "4.2s"),
        (59.94, "59.9s"),
        (60, "1m00s"),
        (3599, "59m59s"),
        (3600, "1h00m"),
        (86_399, "23h59m"),
        (86_400, "1d00h"),
        (950_400, "11d00h"),
    ],
)
def test_durations_have_two_units(seconds: float | None, shown: str) -> None:
    assert text.seconds_text(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2.5e12, "2.5 TB")]
)
def test_bytes_have_three_digits(count: float, shown: str) -> None:
    assert text.bytes_text(count) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.0, "1"), (1 / 3, "0.333333"), (1e-9, "1e-09"), (math.nan, "nan"), (None, "-")],
)
def test_numbers_have_six_digits(value: float | None, shown: str) -> None:
    assert text.number_text(value) == shown


def test_tables_are_aligned_by_what_a_terminal_shows() -> None:
    lines = text.table_text(["a", "n"], [["日本", "1"], ["e\u0301", "22"]], right=[1]).splitlines()
    assert lines == ["a      n", "日本   1", "e\u0301     22"]


def test_nested_names_are_joined_by_dots() -> None:
    assert text.flat({"a": {"b": 1, "c": {}}, "d": [2]}) == [("a.b", 1), ("a.c", {}), ("d", [2])]


def test_lines_of_the_console_are_no_points_and_of_known_number() -> None:
    span = {"first_step": 3, "last_step": 9}
    lines = {
        "kind": "console_lines",
        "reason": "console, journal full",
        "rows": 12,
        "points": 0,
        **span,
    }
    points = {"kind": "journal_full", "reason": "journal full", "rows": 2, "points": 6, **span}
    assert gap_text(lines) == "console, journal full: 12 lines about steps 3 to 9"
    assert missing_text([lines]) == "12 lines of the console"
    assert missing_text([points, lines]) == "6 points and 12 lines of the console"


def test_one_long_name_does_not_move_all_values() -> None:
    pairs = text.pairs_text([("n" * 512, "1"), ("loss", "2")])
    assert pairs.splitlines()[1] == f"  loss{' ' * 36}  2"
    table = text.table_text(["name", "n"], [["n" * 512, "1"], ["loss", "2"]], right=[1])
    assert table.splitlines()[2] == f"loss{' ' * 56}  2"


def test_a_medium_is_one_short_value() -> None:
    image = {"_type": "image-file", "sha256": "0" * 64, "size": 3}
    assert text.flat({"a": {"b": image}}) == [("a.b", image)]
    assert text.flat({"a": {"_type": "adam", "lr": 1}}, has_media=False) == [
        ("a._type", "adam"),
        ("a.lr", 1),
    ]
    assert text.value_text(image) == "(image)"
    lost = {"_type": "image-file", "blob": None, "failed": "the disk is full"}
    assert text.value_text(lost) == "(image, not kept)"
    assert text.value_text({"_type": "plotly-file", "kept": False}) == "(plotly, not kept)"
    both = {"_type": "images/separated", "count": 2, "items": [lost, {**lost, "blob": "9f"}]}
    assert text.value_text(both) == "(images/separated)"
    none = {"_type": "images/separated", "count": 1, "items": [lost]}
    assert text.value_text(none) == "(images/separated, not kept)"


def test_a_count_has_its_noun_in_the_right_number() -> None:
    assert [text.counted(count, "loss", "losses") for count in (0, 1, 2)] == [
        "0 losses",
        "1 loss",
        "2 losses",
    ]
    assert (text.counted(1, "run"), text.counted(1500, "run")) == ("1 run", "1,500 runs")


def test_a_list_that_is_cut_says_so() -> None:
    names = [f"r{number}" for number in range(12)]
    assert text.first_names(names[:2]) == "r0, r1"
    assert text.first_names(names, 3) == "r0, r1, r2 and 9 more"
