"""Waiting for a condition, never for a time. Patient: a machine that is busy is no failure."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

Told = str | Callable[[], str]
"""What is waited for, as it is said when it does not come; a function is asked at that moment."""


def wait_until(
    condition: Callable[[], object], what: Told, *, timeout_seconds: float = 300
) -> None:
    """Wait in this thread until ``condition()`` is true."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, _missed(what, timeout_seconds)
        time.sleep(0.05)


def wait_for(
    look: Callable[[], Found | None], what: Told, *, timeout_seconds: float = 300
) -> Found:
    """Wait in this thread until ``look()`` finds something, and return that."""
    found: list[Found] = []

    def looked() -> bool:
        found[:] = [each] if (each := look()) else []
        return bool(found)

    wait_until(looked, what, timeout_seconds=timeout_seconds)
    return found[0]


async def until(
    condition: Callable[[], object], what: Told, *, timeout_seconds: float = 300
) -> None:
    """Let the loop's other tasks run until ``condition()`` is true."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, _missed(what, timeout_seconds)
        await asyncio.sleep(0.01)


def _missed(what: Told, timeout_seconds: float) -> str:
    return f"waited {timeout_seconds:g} s for {what if isinstance(what, str) else what()}"
