"""Attributes: nested values as typed rows, and back."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stepwell_store.attributes import (
    Assignment,
    dotted_names,
    flatten,
    nest,
    typed,
    untyped,
    value_at,
)

names = st.text(st.characters(blacklist_characters=".", codec="utf-8"), min_size=1, max_size=5)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8"), max_size=5),
    st.lists(st.integers(), max_size=3),
)
nested = st.recursive(
    st.dictionaries(names, scalars, max_size=3),
    lambda inner: st.dictionaries(names, st.one_of(scalars, inner), max_size=3),
)


dotted = st.recursive(
    st.dictionaries(st.text("ab.", max_size=4), scalars, max_size=3),
    lambda inner: st.dictionaries(st.text("ab.", max_size=4), st.one_of(scalars, inner)),
)


def assignments(value, version=1, *, spelled=False):
    rows, names = [], dict(dotted_names(value)) if spelled else {}
    for path, leaf in flatten(value):
        held = typed(leaf)
        back = untyped(held.type, held.number, held.integer, held.text)
        spelling = tuple(names.get(path, ()))
        rows.append(Assignment(version, path, back, deleted=False, names=spelling))
    return rows


def deletion(path, version):
    return Assignment(version, path, None, deleted=True)


@given(nested)
def test_a_nested_dict_comes_back_as_it_was(value):
    assert nest(assignments(value)) == value


@given(dotted)
def test_dots_in_names_come_back_as_they_were(value):
    paths = [path for path, _ in flatten(value)]
    assume(len(set(paths)) == len(paths))
    assume(not any(one.startswith(f"{other}.") for one in paths for other in paths))
    assert nest(assignments(value, spelled=True)) == value
    for path in paths:
        assert nest([*assignments(value, spelled=True), deletion(path, 2)]) != value


def test_dots_in_names_and_nesting_are_both_kept():
    both = {"optimizer.lr": 0.1, "optimizer": {"name": "adam", "betas.first": 0.9}, "wd": 1}
    assert nest(assignments(both, spelled=True)) == both
    later = [*assignments(both, spelled=True), *assignments({"wd.bias": 2}, 2, spelled=True)]
    assert nest(later) == {**both, "wd.bias": 2}
    assert nest([*later, deletion("optimizer.betas.first", 3)])["optimizer"] == {"name": "adam"}
    assert nest([*later, deletion("optimizer", 3)]) == {"wd": 1, "wd.bias": 2}


def test_nan_stays_nan():
    held = typed(math.nan)
    assert math.isnan(untyped(held.type, held.number, held.integer, held.text))


def test_integers_beyond_64_bits_stay_exact():
    assert typed(2**64).text == str(2**64)
    assert typed(10**400).number == math.inf


def test_a_later_value_replaces_whatever_stood_at_its_path():
    older = assignments({"a": {"b": 1, "c": 2}}, 1)
    assert nest([*older, *assignments({"a": {"b": 3}}, 2)]) == {"a": {"b": 3, "c": 2}}
    gone = [deletion("a.b", 2), deletion("a.c", 2)]
    assert nest([*older, *gone, *assignments({"a": 5}, 2)]) == {"a": 5}
    dict_instead = [deletion("a", 2), *assignments({"a": {"b": 1}}, 2)]
    assert nest([*assignments({"a": 5}, 1), *dict_instead]) == {"a": {"b": 1}}


@pytest.mark.parametrize("versions", [(1, 1), (1, 2), (2, 1)])
def test_a_value_and_values_below_its_name_are_both_kept(versions):
    made = [*assignments({"wd": 1}, versions[0]), *assignments({"wd.bias": 2}, versions[1])]
    assert nest(made) == {"wd": 1, "wd.bias": 2}
    assert value_at(nest(made), "wd.bias") == 2
    assert value_at(nest(made), "wd") == 1
    assert nest([*made, *assignments({"wd.bias": 3}, 5)]) == {"wd": 1, "wd.bias": 3}
    assert nest([*made, deletion("wd.bias", 5)]) == {"wd": 1}
    again = [deletion("wd", 5), *assignments({"wd.bias": 2}, 5)]
    assert nest([*made, deletion("wd", 5)]) == {}
    assert nest([*made, *again]) == {"wd": {"bias": 2}}
    deeper = assignments({"wd.bias.x": 3, "wd": {"gain": 4}}, 9)
    assert nest([*made, *deeper]) == {"wd": 1, "wd.bias": 2, "wd.bias.x": 3, "wd.gain": 4}


def test_a_deletion_takes_what_lies_below_and_what_is_set_later_stays():
    older = assignments({"a": {"b": 1, "c": 2}, "d": 3}, 1)
    assert nest([*older, deletion("a", 2)]) == {"d": 3}
    assert nest([*older, deletion("a.b", 2)]) == {"a": {"c": 2}, "d": 3}
    assert nest([*older, deletion("a", 2), *assignments({"a": {"b": 9}}, 2)]) == {
        "a": {"b": 9},
        "d": 3,
    }
    assert nest([deletion("no.such", 2)]) == {}


def test_what_json_cannot_hold_is_shown_as_text():
    assert untyped("json", 0.0, 0, typed({1: b"x"}).text) == {"1": "b'x'"}


def test_a_very_deep_dict_ends_in_json():
    deep: dict = {}
    for _ in range(100):
        deep = {"a": deep}
    ((path, leaf),) = flatten(deep)
    assert path.count(".") == 31
    assert isinstance(leaf, dict)
