"""A process that reads through `Api` waits for the runs that it has just ended, and no longer."""

import time
from collections.abc import Iterator
from typing import Any, cast

import pytest

from stepwell import _session
from stepwell._hub_client import Hub
from stepwell._session import EndedRun
from stepwell.api._own_runs import await_own_runs
from stepwell.errors import HubAccessError, HubError, HubUnreachableError, NotFoundError


class FakeHub:
    """Gives one answer after the other: the states of writers, or an error."""

    url = "http://here"

    def __init__(self, *answers: dict[str, str] | HubError) -> None:
        self.answers = list(answers)

    def ask(self, *_: str) -> dict[str, Any]:
        answer = self.answers.pop(0)
        if isinstance(answer, HubError):
            raise answer
        return {"writers": [{"writer_id": name, "state": it} for name, it in answer.items()]}


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    _session.ended.clear()
    yield
    _session.ended.clear()


def end(*writers: str, seconds_ago: float = 0.0, url: str = FakeHub.url) -> None:
    now = time.monotonic()
    _session.ended.extend(EndedRun(url, "p", "r", each, now - seconds_ago) for each in writers)


def asked_all(hub: FakeHub, **named: float) -> bool:
    """Wait for the ended runs, and return whether exactly the hub's answers were needed."""
    await_own_runs(cast(Hub, hub), **named)
    assert not _session.ended
    return not hub.answers


def test_the_end_of_each_run_is_waited_for() -> None:
    end("first", "second")
    missing = NotFoundError("no such run", status=404, code="not_found")
    running, ended = {"first": "running"}, {"first": "finished"}
    assert asked_all(FakeHub(missing, {}, running, ended, {"second": "crashed"}))


def test_other_writers_of_the_run_are_not_waited_for() -> None:
    end("rank0")
    assert asked_all(FakeHub({"rank0": "finished", "rank1": "running", "resumed": "running"}))


@pytest.mark.parametrize(
    "error", [HubAccessError("not this key", status=401), HubUnreachableError("away")]
)
def test_a_hub_that_would_refuse_the_call_is_not_waited_for(error: HubError) -> None:
    end("w")
    assert asked_all(FakeHub(error))


def test_a_run_that_ended_long_ago_is_not_asked_for() -> None:
    end("w", seconds_ago=61.0)
    assert asked_all(FakeHub())


def test_runs_that_do_not_come_in_time_are_not_waited_for_again() -> None:
    end("first", "second")
    assert asked_all(FakeHub(), wait_seconds=0.0)


def test_runs_of_another_hub_are_left_to_it() -> None:
    end("there", url="http://there")
    await_own_runs(cast(Hub, FakeHub()))
    assert [each.writer_id for each in _session.ended] == ["there"]
