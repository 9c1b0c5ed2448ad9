"""Queries under limits: time, memory, cancellation, and clients that have gone."""

import os
import signal
import subprocess
import sys
import threading
import uuid

import pytest

from stepwell_store import (
    EmbeddedStore,
    QueryCancelledError,
    QueryTimeoutError,
    QueryTooLargeError,
    Store,
    StoreError,
)
from stepwell_store.queries import Limits, list_runs
from stepwell_store.queries.limits import Question
from tests.waiting import wait_until

_SLOW = "SELECT count() AS n FROM numbers(1000000000000) WHERE number % 7 = 3"
_LARGE = "SELECT groupArray(number) AS n FROM numbers(100000000)"


def running(store: Store, marker: str) -> int:
    """Return how many queries run that have ``marker`` in their text."""
    rows = store.query(
        "SELECT count() AS n FROM system.processes "
        "WHERE position(query, {marker:String}) > 0 AND position(query, 'system.processes') = 0",
        parameters={"marker": marker},
    )
    return int(rows[0]["n"])


def marked() -> str:
    return f"mark-{uuid.uuid4().hex}"


def test_a_query_ends_at_its_time_limit(store: Store):
    with pytest.raises(QueryTimeoutError):
        store.query(_SLOW, timeout_seconds=1)


def test_a_query_ends_at_its_memory_limit(store: Store):
    with pytest.raises(QueryTooLargeError, match="allow more memory"):
        store.query(_LARGE, memory_bytes=10_000_000)


def test_the_limits_of_one_query_are_not_those_of_the_next(store: Store):
    with pytest.raises(QueryTooLargeError):
        store.query(_LARGE, memory_bytes=10_000_000)
    assert store.query("SELECT length(groupArray(number)) AS n FROM numbers(3000000)") == [
        {"n": 3_000_000}
    ]


def test_another_thread_cancels_a_query_by_its_name(store: Store):
    name, marker = uuid.uuid4().hex, marked()
    raised: list[BaseException] = []

    def ask() -> None:
        try:
            store.query(f"{_SLOW} AND '{marker}' != ''", timeout_seconds=300, query_id=name)
        except StoreError as error:
            raised.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    wait_until(lambda: running(store, marker) == 1, "the query to run")
    store.cancel(name)
    thread.join(30)
    assert not thread.is_alive()
    (error,) = raised
    assert isinstance(error, QueryCancelledError)
    wait_until(lambda: running(store, marker) == 0, "the query to end in the engine")


def test_a_cancelled_question_asks_nothing_more(store: Store):
    name = uuid.uuid4().hex
    store.cancel(name)
    with pytest.raises(QueryCancelledError, match="before it started"):
        list_runs(store, "nothing", limits=Limits(query_id=name))
    assert list_runs(store, "nothing", limits=Limits(query_id=uuid.uuid4().hex)).items == ()


def test_a_question_of_several_queries_has_one_time_limit(store: Store):
    question = Question(store, Limits(timeout_seconds=0))
    with pytest.raises(QueryTimeoutError, match="more than 0 s"):
        question.rows("SELECT 1 AS one")


def test_the_query_of_a_killed_client_is_ended(engine: EmbeddedStore):
    marker = marked()
    code = (
        "from pathlib import Path; from stepwell_store import connect_embedded\n"
        f"store = connect_embedded(Path({str(engine.data_dir)!r}))\n"
        f"store.query({_SLOW!r} + \" AND '{marker}' != ''\", timeout_seconds=300)\n"
    )
    client = subprocess.Popen([sys.executable, "-c", code])
    try:
        wait_until(lambda: running(engine, marker) == 1, "the client's query to run")
        os.kill(client.pid, signal.SIGKILL)
        wait_until(lambda: running(engine, marker) == 0, "the query to end")
    finally:
        client.kill()
        client.wait()
