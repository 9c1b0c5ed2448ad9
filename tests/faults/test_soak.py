"""The soak, for seconds: the command works, loses nothing, and sees what grows."""

import pytest

from tests.faults.soak import Samples, soak
from tests.node import made_node


@pytest.mark.processes
def test_writers_that_come_and_go_leave_nothing_behind() -> None:
    told: list[str] = []
    with made_node() as node:
        samples = soak(node, seconds=10, writers=3, rate=100, life=5, every=0.5, tell=told.append)
    assert "all stored once" in told[-1]
    assert {"daemon_rss_mib", "engine_descriptors", "spool_mib"} <= set(samples.values)


def test_growth_is_seen_and_noise_is_not() -> None:
    samples = Samples()
    for number in range(100):
        samples.add(leaking=100.0 + number, noisy=100.0 + number % 7, warming=min(number, 10.0))
    grown = samples.growth()
    assert grown["leaking"] > 50
    assert abs(grown["noisy"]) <= 3
    assert grown["warming"] == 0
