"""Processes that are stopped for a while."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.node import Node
from tests.waiting import wait_until


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def engine_of(node: Node) -> int:
    assert node.daemon is not None
    found: list[int] = []

    def look() -> bool:
        assert node.daemon is not None
        found[:] = [child.pid for child in psutil.Process(node.daemon.pid).children()]
        return bool(found)

    wait_until(look, "the engine")
    return found[0]
