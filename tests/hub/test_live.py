"""Live feeds: what is rung for, how often, and what a listener that comes back is told."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from stepwell_hub.errors import ApiError
from stepwell_hub.live import (
    KEPT_SECONDS,
    POLL_SECONDS,
    REST_SECONDS_MAX,
    Feeds,
)
from stepwell_hub.subscription import Interest, Look, Subscription
from stepwell_store.errors import StoreUnavailableError

WANTED = Interest("p", frozenset({"a", "b"}), frozenset({"loss"}))


def look(version: int = 1, *, loss: int = 0, state: str = "running") -> Look:
    series = {("a", "loss"): loss, ("b", "loss"): 7, ("a", "other"): 9, ("c", "loss"): 9}
    return Look(version, series, {"a": (state, 1.0), "c": ("running", 1.0)})


# ---------------------------------------------------------------------------- one listener


def test_the_first_look_is_told_in_full_and_nothing_that_is_not_looked_at() -> None:
    listener = Subscription("s", WANTED)
    listener.note(look(loss=5))
    assert listener.rung.is_set()
    assert listener.take() == [
        ("runs", {"runs_version": 1}),
        (
            "series",
            {
                "series": [
                    {"run_id": "a", "metric": "loss", "version": 5},
                    {"run_id": "b", "metric": "loss", "version": 7},
                ]
            },
        ),
        ("run", {"run_id": "a", "state": "running", "last_seen": 1.0}),
    ]


def test_nothing_rings_while_nothing_changes() -> None:
    listener = Subscription("s", WANTED)
    listener.note(look())
    listener.take()
    listener.note(look())
    assert not listener.rung.is_set()
    assert listener.take() == []


def test_a_slow_listener_is_told_the_newest_state_alone() -> None:
    listener = Subscription("s", WANTED)
    listener.note(look())
    listener.take()
    for points in range(1, 1000):
        listener.note(look(loss=points))
    assert listener.take() == [
        ("series", {"series": [{"run_id": "a", "metric": "loss", "version": 999}]})
    ]


def test_a_change_of_state_rings() -> None:
    listener = Subscription("s", WANTED)
    listener.note(look())
    listener.take()
    listener.note(look(2, state="finished"))
    assert listener.take() == [
        ("runs", {"runs_version": 2}),
        ("run", {"run_id": "a", "state": "finished", "last_seen": 1.0}),
    ]


def test_media_ring_for_those_who_look_at_them_alone() -> None:
    listener, other = Subscription("s", replace(WANTED, media=True)), Subscription("o", WANTED)
    for media, expected in (
        ({"a": 1, "c": 1}, ["a"]),
        ({"a": 1}, []),
        ({"a": 2, "b": 1}, ["a", "b"]),
    ):
        for each in (listener, other):
            each.note(replace(look(), media=media))
        told = [data["run_ids"] for name, data in listener.take() if name == "media"]
        assert told == ([expected] if expected else [])
        assert "media" not in [name for name, _ in other.take()]


def test_looking_at_more_tells_what_is_new_alone() -> None:
    listener = Subscription("s", WANTED)
    listener.note(look())
    listener.take()
    listener.interest = Interest("p", frozenset({"a", "c"}), frozenset({"loss"}))
    listener.note(look())
    assert listener.take() == [
        ("series", {"series": [{"run_id": "c", "metric": "loss", "version": 9}]}),
        ("run", {"run_id": "c", "state": "running", "last_seen": 1.0}),
    ]


def test_the_list_of_projects_has_an_event_of_its_own() -> None:
    listener = Subscription("s", Interest(None))
    listener.note(Look(version=4))
    assert listener.take() == [("projects", {"version": 4})]


def test_the_deletion_of_the_last_project_rings() -> None:
    listener = Subscription("s", Interest(None))
    assert not listener.rung.is_set()
    listener.note(Look(version=4))
    listener.take()
    listener.note(Look(version=0))  # A sum over no rows.
    assert listener.rung.is_set()
    assert listener.take() == [("projects", {"version": 0})]


def test_a_run_that_gets_a_metric_rings_once() -> None:
    listener = Subscription("s", WANTED)
    known = look()
    listener.note(replace(known, metric_counts={"a": 2, "b": 0, "c": 9}))
    assert ("metrics", {"run_ids": ["a"]}) in listener.take()
    listener.note(replace(known, metric_counts={"a": 3, "b": 0, "c": 10}))
    assert listener.take() == [("metrics", {"run_ids": ["a"]})]
    listener.note(replace(known, metric_counts={"a": 3, "b": 0, "c": 11}))
    assert not listener.rung.is_set()


# ---------------------------------------------------------------------------- all listeners


class World:
    """A store whose state a test sets, and a clock that moves by sleeping alone."""

    def __init__(self, *, listeners_max: int = 10, look_seconds: float = 0.0) -> None:
        self.state = look()
        self.now = 0.0
        self.slept: list[float] = []
        self.asked: list[Interest] = []
        self.fails = False
        self.mistakes = False
        self._look_seconds = look_seconds
        self.feeds = Feeds(
            self.look_at, listeners_max=listeners_max, clock=lambda: self.now, sleep=self.sleep
        )

    async def look_at(self, interest: Interest) -> Look:
        self.asked.append(interest)
        self.now += self._look_seconds
        if self.fails:
            raise StoreUnavailableError("away")
        if self.mistakes:
            raise KeyError("a mistake of ours")
        return self.state

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def in_loop(test: Callable[[World], Awaitable[None]], **world: float) -> None:
    async def run() -> None:
        made = World(**world)  # type: ignore[arg-type]
        await test(made)
        made.feeds.stop()

    asyncio.run(asyncio.wait_for(run(), 30))


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_the_store_is_asked_while_somebody_listens_and_only_then() -> None:
    async def test(world: World) -> None:
        await turns()
        assert world.asked == []
        with world.feeds.listening(WANTED):
            await turns()
            assert world.asked
        await turns()
        asked = len(world.asked)
        await turns(50)
        assert len(world.asked) == asked

    in_loop(test)


def test_one_poll_asks_for_all_that_is_looked_at_in_a_project() -> None:
    async def test(world: World) -> None:
        other = Interest("p", frozenset({"c"}), frozenset({"acc"}))
        with world.feeds.listening(WANTED), world.feeds.listening(other):
            await turns()
            assert world.asked[-1] == Interest(
                "p", frozenset({"a", "b", "c"}), frozenset({"loss", "acc"})
            )
            with world.feeds.listening(Interest("q")):
                await turns()
                assert {each.project for each in world.asked} == {"p", "q"}

    in_loop(test)


@pytest.mark.parametrize(
    ("look_seconds", "rest"), [(0.001, POLL_SECONDS), (0.5, 2.0), (100.0, REST_SECONDS_MAX)]
)
def test_a_store_that_answers_slowly_is_asked_less_often(look_seconds: float, rest: float) -> None:
    async def test(world: World) -> None:
        with world.feeds.listening(WANTED):
            await turns()
        assert world.slept[0] == pytest.approx(rest)

    in_loop(test, look_seconds=look_seconds)


def test_a_store_that_is_away_is_asked_again() -> None:
    async def test(world: World) -> None:
        world.fails = True
        with world.feeds.listening(WANTED) as listener:
            await turns()
            listener.take()
            assert not listener.rung.is_set()
            world.fails = False
            await turns()
            assert listener.rung.is_set()

    in_loop(test)


def test_a_look_that_fails_by_a_mistake_ends_no_feed() -> None:
    async def test(world: World) -> None:
        world.mistakes = True
        with world.feeds.listening(WANTED) as listener:
            await turns()
            listener.take()
            world.mistakes = False
            await turns()
            assert listener.rung.is_set()

    in_loop(test)


def test_one_listener_too_many_is_refused() -> None:
    async def test(world: World) -> None:
        with world.feeds.listening(WANTED):
            with pytest.raises(ApiError, match="too many"), world.feeds.listening(WANTED):
                pass
            assert world.feeds.listener_count == 1
        with world.feeds.listening(WANTED):
            pass

    in_loop(test, listeners_max=1)


def test_a_listener_that_comes_back_is_told_what_changed_meanwhile() -> None:
    async def test(world: World) -> None:
        with world.feeds.listening(WANTED) as first:
            await turns()
            first.take()
            last = f"{first.id}-{first.sent_count}"
        world.state = look(loss=3)
        with world.feeds.listening(WANTED, last_event_id=last) as again:
            assert again.id == first.id
            await turns()
            assert again.take() == [
                ("series", {"series": [{"run_id": "a", "metric": "loss", "version": 3}]})
            ]

    in_loop(test)


def test_a_listener_that_comes_back_without_names_looks_at_the_same_as_before() -> None:
    async def test(world: World) -> None:
        with world.feeds.listening(WANTED) as first:
            await turns()
            first.take()
            last = f"{first.id}-{first.sent_count}"
        world.state = look(loss=3)
        with world.feeds.listening(Interest("p"), last_event_id=last) as again:
            await turns()
            assert world.asked[-1] == WANTED
            assert again.take() == [
                ("series", {"series": [{"run_id": "a", "metric": "loss", "version": 3}]})
            ]

    in_loop(test)


@pytest.mark.parametrize("lost", ["events", "time", "project", "nothing known"])
def test_it_is_told_everything_when_it_is_unknown_what_it_has(lost: str) -> None:
    async def test(world: World) -> None:
        with world.feeds.listening(WANTED) as first:
            await turns()
            first.take()
        last = f"{first.id}-{first.sent_count}"
        wanted = WANTED
        if lost == "events":
            last = f"{first.id}-{first.sent_count - 1}"
        elif lost == "time":
            world.now += KEPT_SECONDS + 1
            with world.feeds.listening(WANTED):
                pass  # Each that leaves sweeps.
        elif lost == "project":
            wanted = Interest("q", WANTED.runs, WANTED.metrics)
        else:
            last = "another-hub-17"
        with world.feeds.listening(wanted, last_event_id=last) as again:
            await turns()
            assert [event for event, _ in again.take()] == ["runs", "series", "run"]

    in_loop(test)


def test_a_listener_narrows_what_it_looks_at() -> None:
    async def test(world: World) -> None:
        narrow = Interest("p", frozenset({"b"}), frozenset({"loss"}))
        with world.feeds.listening(WANTED) as listener:
            world.feeds.change(listener.id, lambda _project: narrow)
            await turns()
            assert world.asked[-1] == narrow
            with pytest.raises(ApiError, match="subscription not found"):
                world.feeds.change("other", lambda _project: narrow)

    in_loop(test)
