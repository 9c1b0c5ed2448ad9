"""A setting: one declaration says what may be written, and what it becomes."""

from pathlib import Path
from typing import Any

import pytest

from stepwell_wire.setting import Setting, flag, known_hint

SIZE = "expected a whole number of bytes without a unit, such as 8000000000 or 8e9"


@pytest.mark.parametrize(
    ("declared", "written", "meant"),
    [
        (Setting(1, ""), "12", 12),
        (Setting(1, ""), "1e9", 1_000_000_000),
        (Setting(1, ""), 3.0, 3),
        (Setting(1, ""), "9007199254740993", 9007199254740993),
        (Setting(0.5, "", 0.25), "0.25", 0.25),
        (Setting(False, ""), " Yes ", True),
        (Setting(True, ""), "off", False),
        (Setting("a", "", choices=("a", "b")), "b", "b"),
        (Setting(None, "", choices=("a",), convert=lambda value: value or None), "", None),
        (Setting(Path(), ""), "/a/b", Path("/a/b")),
        (Setting(Path(), ""), Path("/a/b"), Path("/a/b")),
    ],
)
def test_a_value_is_what_its_declaration_makes_of_it(
    declared: Setting, written: Any, meant: Any
) -> None:
    found = declared.read(written)
    assert (found, type(found)) == (meant, type(meant))


@pytest.mark.parametrize(
    ("declared", "written", "message"),
    [
        (Setting(1, ""), "many", "expected a whole number, not 'many'"),
        (Setting(1, ""), "8GB", f"{SIZE}, not '8GB'"),
        (Setting(1, ""), "64 MiB", f"{SIZE}, not '64 MiB'"),
        (Setting(1, ""), 1.5, "expected a whole number, not 1.5"),
        (Setting(1, ""), "1.5", "expected a whole number, not '1.5'"),
        (Setting(1, ""), True, "expected a whole number, not True"),
        (Setting(1, ""), float("inf"), "expected a whole number, not inf"),
        (Setting(1.0, ""), "nan", "expected a number, not 'nan'"),
        (Setting(1.0, ""), None, "expected a number, not None"),
        (Setting(1, "", 2), "1", "expected 2 or more, not 1"),
        (Setting(1, "", 2, 5_000_000), 6_000_000, "expected 2 to 5,000,000, not 6000000"),
        (Setting(False, ""), "maybe", "expected true or false, not 'maybe'"),
        (Setting("a", "", choices=("a", "b")), "c", "expected one of a, b, not 'c'"),
        (Setting("a", ""), 3, "expected text, not 3"),
        (Setting(Path(), ""), "", "expected a path, not ''"),
        (Setting(Path(), ""), 3, "expected a path, not 3"),
    ],
)
def test_what_cannot_be_is_refused_with_what_is_expected(
    declared: Setting, written: Any, message: str
) -> None:
    with pytest.raises(ValueError) as refused:
        declared.read(written)
    assert str(refused.value) == message


def test_what_is_no_word_counts_by_its_truth() -> None:
    assert flag(1)
    assert not flag(None)


def test_an_unknown_name_is_answered_with_the_nearest_or_all() -> None:
    known = ["block_points", "host"]
    assert known_hint("block_point", known, shown=str.upper) == "did you mean BLOCK_POINTS?"
    assert known_hint("xyz", known) == "known are block_points, host"
