"""Attributes: nested values as typed rows, and back."""

import math

from hypothesis import given
from hypothesis import strategies as st

from stepwell_store.attributes import Assignment, flatten, nest, typed, untyped

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


def assignments(value, version=1):
    rows = []
    for path, leaf in flatten(value):
        held = typed(leaf)
        back = untyped(held.type, held.number, held.integer, held.text)
        rows.append(Assignment(version, path, back, deleted=False))
    return rows


def deletion(path, version):
    return Assignment(version, path, None, deleted=True)


@given(nested)
def test_a_nested_dict_comes_back_as_it_was(value):
    assert nest(assignments(value)) == value


def test_nan_stays_nan():
    held = typed(math.nan)
    assert math.isnan(untyped(held.type, held.number, held.integer, held.text))


def test_integers_beyond_64_bits_stay_exact():
    assert typed(2**64).text == str(2**64)
    assert typed(10**400).number == math.inf


def test_a_later_value_replaces_whatever_stood_at_its_path():
    older = assignments({"a": {"b": 1, "c": 2}}, 1)
    assert nest([*older, *assignments({"a": {"b": 3}}, 2)]) == {"a": {"b": 3, "c": 2}}
    assert nest([*older, *assignments({"a": 5}, 2)]) == {"a": 5}
    assert nest([*assignments({"a": 5}, 1), *assignments({"a": {"b": 1}}, 2)]) == {"a": {"b": 1}}


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
