"""Queries: so many at once, so many waiting, and none that nobody waits for."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.applications import Starlette

from stepwell_hub.asking import Asker
from stepwell_hub.endpoints import PREFIX, Call, Endpoint, routes
from stepwell_hub.errors import ApiError
from stepwell_store import EmbeddedStore, QueryError, Store, StoreError
from stepwell_store.queries import Limits
from stepwell_store.queries.limits import Question
from tests.hub.conftest import Hub
from tests.waiting import wait_until

FOREVER = "SELECT sleepEachRow(1) FROM numbers(3000) SETTINGS max_block_size = 1"

RUNNING = (
    "SELECT count() AS n FROM system.processes "
    "WHERE query LIKE '%sleepEachRow%' AND query NOT LIKE '%processes%'"
)


def slow(store: Store, *, limits: Limits) -> Any:
    """Ask a question that takes an hour."""
    return Question(store, limits).rows(FOREVER)


def in_loop(test: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(run())


def asker_of(store: Any, *, queries_max: int = 1, waiting_max: int = 10) -> Asker:
    limits = Limits(timeout_seconds=3000.0)
    return Asker(store, limits, queries_max=queries_max, waiting_max=waiting_max)


def test_an_answer_comes_with_limits_and_a_name_of_its_own(store: EmbeddedStore) -> None:
    names = set()

    def ask(held: Store, number: int, *, limits: Limits) -> int:
        assert held is store
        assert limits.timeout_seconds == 3000.0
        names.add(limits.query_id)
        return number

    async def test() -> None:
        asker = asker_of(store)
        assert [await asker.ask(ask, number) for number in (1, 2)] == [1, 2]
        asker.close()

    in_loop(test)
    assert len(names) == 2
    assert "" not in names


def test_a_query_that_nobody_waits_for_is_ended_in_the_engine(store: EmbeddedStore) -> None:
    def is_running() -> bool:
        return bool(store.query(RUNNING)[0]["n"])

    async def test() -> None:
        asker = asker_of(store)
        waiting = asyncio.create_task(asker.ask(slow))
        await asyncio.to_thread(wait_until, is_running, "the query")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        # The one turn comes back because the query has ended, an hour early.
        assert await asker.ask(lambda held, *, limits: "next") == "next"
        asker.close()

    in_loop(test)


def test_more_queries_than_may_wait_are_refused(store: EmbeddedStore) -> None:
    async def test() -> None:
        go_on = threading.Event()
        asker = asker_of(store, queries_max=1, waiting_max=1)

        def wait(held: Store, *, limits: Limits) -> bool:
            return go_on.wait(50)

        runs = asyncio.create_task(asker.ask(wait))
        await asyncio.sleep(0)
        waits = asyncio.create_task(asker.ask(wait))
        await asyncio.sleep(0)
        with pytest.raises(ApiError) as refused:
            await asker.ask(wait)
        assert (refused.value.failure.status, refused.value.failure.code) == (503, "busy")
        go_on.set()
        assert await runs
        assert await waits
        asker.close()

    in_loop(test)


def test_a_failed_query_gives_its_turn_back(store: EmbeddedStore) -> None:
    def wrong(held: Store, *, limits: Limits) -> Any:
        return Question(held, limits).rows("SELECT nonsense FROM")

    async def test() -> None:
        asker = asker_of(store)
        for _ in range(3):
            with pytest.raises(QueryError):
                await asker.ask(wrong)
        asker.close()

    in_loop(test)


def test_who_gives_up_waiting_for_a_turn_takes_none(store: EmbeddedStore) -> None:
    async def test() -> None:
        go_on = threading.Event()
        asker = asker_of(store)
        runs = asyncio.create_task(asker.ask(lambda held, *, limits: go_on.wait(50)))
        await asyncio.sleep(0)
        waits = asyncio.create_task(asker.ask(lambda held, *, limits: 1))
        await asyncio.sleep(0)
        waits.cancel()
        go_on.set()
        assert await runs
        assert await asker.ask(lambda held, *, limits: 2) == 2
        asker.close()

    in_loop(test)


def test_a_client_that_leaves_ends_its_request(hub: Hub) -> None:
    async def test() -> None:
        begun, ended = asyncio.Event(), asyncio.Event()

        async def handler(_: Call) -> None:
            """Wait."""
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        each = Endpoint("GET", "/slow", handler)
        app = Starlette(routes=routes(hub.context, [each]))
        messages = asyncio.Queue[dict[str, Any]]()
        messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "GET",
            "path": f"{PREFIX}/slow",
            "query_string": b"",
            "headers": [],
        }
        asked = asyncio.create_task(app(scope, messages.get, send))  # type: ignore[arg-type]
        await begun.wait()
        messages.put_nowait({"type": "http.disconnect"})
        await ended.wait()
        await asked

    in_loop(test)


@pytest.mark.parametrize("error", [StoreError("broken"), RuntimeError("a mistake")])
def test_a_mistake_is_told_without_its_details_and_counted(hub: Hub, error: Exception) -> None:
    async def handler(_: Call) -> None:
        """Fail."""
        raise error

    each = Endpoint("GET", "/wrong", handler)
    app = Starlette(routes=routes(hub.context, [each]))
    from starlette.testclient import TestClient

    before = hub.context.failures
    answer = TestClient(app).get(f"{PREFIX}/wrong")
    assert answer.status_code == 500
    if isinstance(error, RuntimeError):
        assert "the hub failed" in answer.json()["error"]["message"]
        assert "RuntimeError" not in answer.text
        assert hub.context.failures == before + 1
