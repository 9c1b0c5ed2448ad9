"""The console of a run: pages by time, searched; followed without losing or repeating a line."""

import random
from typing import Any

import pytest

from stepwell_store import CursorError, Store
from stepwell_store.queries import ConsoleLine, console_lines
from stepwell_store.queries.console_marks import (
    MARKS_MAX,
    MarkPlace,
    Marks,
    MarkSource,
    decode_marks,
)
from stepwell_wire.rows import Event
from tests.store.made import START_US, build, decoded, event, fresh_project, insert, tell, writer


def printed(lines: list[list[Any]], stream: str = "stdout") -> Event:
    return event("console", {"stream": stream, "lines": lines})


def print_lines(
    store: Store, project: str, label: str, *lines: tuple[int, int, str], stream: str = "stdout"
) -> None:
    """Store lines of one writer: (number, microseconds after the start, text)."""
    made = [[number, START_US + at, text] for number, at, text in lines]
    tell(store, writer(project, label=label), printed(made, stream))


def texts(lines: tuple[ConsoleLine, ...]) -> list[str]:
    return [line.text for line in lines]


def test_a_late_line_of_another_rank_is_followed_though_its_time_is_earlier(store: Store):
    project = fresh_project()
    print_lines(store, project, "0", (0, 10, "a"), (1, 20, "b"))
    page = console_lines(store, project, "run")
    print_lines(store, project, "1", (0, 5, "late, of a new rank"))
    page = console_lines(store, project, "run", after=page.after)
    assert (texts(page.lines), page.total) == (["late, of a new rank"], None)
    print_lines(store, project, "1", (1, 6, "late again"))
    print_lines(store, project, "0", (2, 4, "the clock went back"))
    page = console_lines(store, project, "run", after=page.after)
    assert texts(page.lines) == ["the clock went back", "late again"]
    assert console_lines(store, project, "run", after=page.after).lines == ()


def test_a_line_written_anew_is_followed_under_the_same_id(store: Store):
    project = fresh_project()
    print_lines(store, project, "0", (0, 10, "5 %"))
    first = console_lines(store, project, "run")
    print_lines(store, project, "0", (0, 30, "10 %"))
    print_lines(store, project, "0", (0, 40, "100 %"))
    second = console_lines(store, project, "run", after=first.after)
    assert texts(second.lines) == ["100 %"]
    assert second.lines[0].id == first.lines[0].id
    assert console_lines(store, project, "run", after=second.after).lines == ()


@pytest.mark.parametrize("search", ["", "even"])
@pytest.mark.parametrize("seed", range(3))
def test_a_follower_gets_every_line_once_in_whatever_order_the_ranks_arrive(
    store: Store, seed: int, search: str
):
    dice = random.Random(seed)
    project = fresh_project()
    written = dict.fromkeys(("0", "1", "2"), 0)
    wanted: set[str] = set()
    held: list[str] = []
    cursor = console_lines(store, project, "run", search=search).after
    for _ in range(12):
        for label in dice.sample(sorted(written), dice.randint(0, 3)):
            start = written[label]
            written[label] += dice.randint(1, 6)
            lines = [
                (
                    number,
                    dice.randrange(1000),
                    f"{label} {number} {'odd' if number % 2 else 'even'}",
                )
                for number in range(start, written[label])
            ]
            print_lines(store, project, label, *lines)
            wanted |= {text for _, _, text in lines if search in text}
        while True:
            page = console_lines(
                store, project, "run", search=search, after=cursor, limit=dice.randint(1, 5)
            )
            held += texts(page.lines)
            cursor = page.after
            if not page.lines:
                break
    assert sorted(held) == sorted(wanted)


def test_a_view_that_opens_at_a_moment_is_followed_once_it_reached_the_end(store: Store):
    project = fresh_project()
    print_lines(store, project, "0", *((number, number, str(number)) for number in range(30)))
    page = console_lines(store, project, "run", around_time=(START_US + 8) / 1e6, limit=6)
    assert texts(page.lines) == ["5", "6", "7", "8", "9", "10"]
    held = []
    while page.lines:
        page = console_lines(store, project, "run", after=page.after, limit=7)
        held += texts(page.lines)
    assert held == [str(number) for number in range(11, 30)]
    print_lines(store, project, "1", (0, 3, "late"))
    assert texts(console_lines(store, project, "run", after=page.after).lines) == ["late"]


def test_lines_of_two_ranks_at_one_moment_are_all_reached_backward(store: Store):
    project = fresh_project()
    for label in ("0", "1", "2"):
        print_lines(store, project, label, (0, 7, f"of {label}"))
    page = console_lines(store, project, "run", limit=1)
    held = texts(page.lines)
    while page.before is not None:
        page = console_lines(store, project, "run", before=page.before, limit=1)
        held += texts(page.lines)
        assert page.total is None
    assert held == ["of 2", "of 1", "of 0"]


def test_a_cursor_of_one_view_is_not_taken_by_another(store: Store):
    project = fresh_project()
    print_lines(store, project, "0", (0, 1, "a"))
    after = console_lines(store, project, "run", stream="stdout").after
    for other in ({"stream": "stderr"}, {"label": "0"}, {}):
        with pytest.raises(CursorError):
            console_lines(store, project, "run", after=after, **other)


def test_the_marks_of_thousands_of_writers_are_bounded_and_the_busy_ones_stay():
    marks = Marks().advanced(
        (MarkSource(f"{number:016x}", "stdout"), MarkPlace(number, number))
        for number in range(5000)
    )
    assert len(marks.places) == MARKS_MAX
    assert marks.quiet_us == 5000 - MARKS_MAX - 1
    assert decode_marks(marks.encoded()) == marks
    assert len(marks.encoded()) < 8000


def test_a_run_with_more_writers_than_marks_is_followed(store: Store):
    project = fresh_project()
    count = MARKS_MAX + 3
    parts = [
        (writer(project, label=str(at)), decoded(events=[printed([[0, START_US + at, "a"]])]))
        for at in range(count)
    ]
    insert(store, build(*parts), f"many-{project}")
    page = console_lines(store, project, "run", limit=10)
    assert page.total == count
    for number in (0, count - 1):
        print_lines(store, project, str(number), (1, count + number, f"of {number}"))
    page = console_lines(store, project, "run", after=page.after)
    assert texts(page.lines) == ["of 0", f"of {count - 1}"]
    assert console_lines(store, project, "run", after=page.after).lines == ()


@pytest.mark.parametrize("text", ["", "x", "eJwDAAAAAAE", "!", "eJyLrlbKVLJSMjIwAAAM2AJk"])
def test_what_is_no_marks_is_refused(text: str):
    with pytest.raises(ValueError, match="marks"):
        decode_marks(text)
