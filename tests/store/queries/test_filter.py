"""The text by which runs are filtered."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stepwell_store.errors import FilterError
from stepwell_store.queries.filter import (
    FILTER_CHARACTERS_MAX,
    STATISTICS,
    All,
    Compare,
    Either,
    Expression,
    Not,
    Word,
    format_filter,
    parse_filter,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("  \t ", None),
        ("big", Word("big")),
        ("state:running", Compare("state", ":", "running")),
        ("lr=0.1", Compare("lr", ":", "0.1")),
        ("lr<1e-3", Compare("lr", "<", "1e-3")),
        ("lr>=-1", Compare("lr", ">=", "-1")),
        ("val/loss != 3".replace(" ", ""), Compare("val/loss", "!=", "3")),
        ('name~"^big run"', Compare("name", "~", "^big run", quoted=True)),
        ("name~a.*:b", Compare("name", "~", "a.*:b")),
        ('"my metric"<3', Compare("my metric", "<", "3")),
        (r'"a\"b\\"', Word('a"b\\')),
        ('tag:""', Compare("tag", ":", "", quoted=True)),
        ("-tag:old", Not(Compare("tag", ":", "old"))),
        ("a-b", Word("a-b")),
        ("a b", All((Word("a"), Word("b")))),
        ("a b | c", Either((All((Word("a"), Word("b"))), Word("c")))),
        ("a (b | c)", All((Word("a"), Either((Word("b"), Word("c")))))),
        ("-(a b)", Not(All((Word("a"), Word("b"))))),
        ("metric.val/loss:min<0.4", Compare("metric.val/loss:min", "<", "0.4")),
        ('"metric.a b":min<0.4', Compare("metric.a b:min", "<", "0.4")),
        ("metric.loss:0.4", Compare("metric.loss", ":", "0.4")),
        ("metric.loss:min", Compare("metric.loss", ":", "min")),
    ],
)
def test_a_filter_reads_as(text: str, expected: Expression | None):
    assert parse_filter(text) == expected


@pytest.mark.parametrize(
    ("text", "position", "length"),
    [
        ("a | ", 3, 1),
        ("a | | b", 4, 1),
        ("(a", 0, 1),
        ("a)", 1, 1),
        ('b "a', 2, 2),
        ("lr<", 0, 3),
        ("x lr< 3", 2, 3),
        ("<3", 0, 1),
        ("-", 0, 1),
        ("a - b", 2, 1),
        ('""', 0, 2),
        ("lr<(3)", 3, 1),
        ("()", 1, 1),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, position: int, length: int):
    with pytest.raises(FilterError) as raised:
        parse_filter(text)
    assert (raised.value.position, raised.value.length) == (position, length)
    assert f"character {position + 1}" in str(raised.value)


def test_a_comparison_knows_its_place():
    found = parse_filter('a  lr<"1 2" b')
    assert isinstance(found, All)
    compare = found.items[1]
    assert isinstance(compare, Compare)
    assert (compare.position, compare.length) == (3, 8)


def test_depth_and_length_are_bounded():
    for text in ("(" * 100 + "a" + ")" * 100, "-" * 100 + "a", "a " * 400):
        with pytest.raises(FilterError, match="more than"):
            parse_filter(text)
    with pytest.raises(FilterError, match="at most"):
        parse_filter("a" * (FILTER_CHARACTERS_MAX + 1))


_texts = st.text(min_size=1, max_size=12)
_values = st.builds(
    Compare,
    st.one_of(_texts, st.just("metric.a:min")),
    st.sampled_from(["!=", "<=", ">=", ":", "<", ">", "~"]),
    st.text(max_size=12),
    st.booleans(),
)
_leaves = st.one_of(st.builds(Word, _texts), _values)
_trees = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(All, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Either, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


def _comparable(tree: Expression | None) -> Expression | None:
    """Whether a value was quoted is kept for those only that need not be."""
    match tree:
        case Compare(path, operator, value, quoted):
            needs = not value or any(each in value for each in ' \t\r\n()|"')
            needs = needs or (path.startswith("metric.") and value.startswith(STATISTICS))
            needs = needs or value.startswith(("=", "<", ">", "~"))
            return Compare(path, operator, value, quoted or needs)
        case Not(item):
            inner = _comparable(item)
            assert inner is not None
            return Not(inner)
        case All(items):
            return All(tuple(filter(None, map(_comparable, items))))
        case Either(items):
            return Either(tuple(filter(None, map(_comparable, items))))
    return tree


@given(_trees)
@example(Compare("metric.a:min", "<", "=", False))
@example(Compare("lr", ">", "=1", False))
@pytest.mark.slow
def test_a_tree_written_and_read_is_the_same(tree: Expression):
    assert _comparable(parse_filter(format_filter(tree))) == _comparable(tree)


@pytest.mark.parametrize("twice", ["==", ":<", ">>", "=~"])
def test_two_operators_are_refused_and_a_quoted_value_may_begin_with_one(twice: str):
    with pytest.raises(FilterError, match=f": {twice} is not an operator") as raised:
        parse_filter(f"a lr{twice}1")
    assert (raised.value.position, raised.value.length) == (4, 2)
    assert parse_filter(f'lr{twice[0]}"{twice[1]}1"') is not None


@given(st.text(alphabet=st.characters() | st.sampled_from('()|":=<>~!- \\ab'), max_size=60))
def test_any_text_is_read_or_refused_with_a_place_inside_it(text: str):
    place = (0, 0)
    try:
        parse_filter(text)
    except FilterError as error:
        place = (error.position, error.length)
    assert 0 <= place[0] <= len(text)
    assert sum(place) <= max(len(text), 1)
