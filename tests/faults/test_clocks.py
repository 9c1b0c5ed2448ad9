"""Wall clocks that jump: timers go by the monotonic clock, curves by their steps."""

from pathlib import Path

import pytest

from stepwell_store import connect_embedded
from tests.faults.steady import assert_all_stored, training
from tests.node import Node

pytestmark = [pytest.mark.processes, pytest.mark.holds("clock-jump")]

# Python runs a module of this name at every start, before anything else is imported.
_CLOCK = """
import os, time
_time, _time_ns, _path = time.time, time.time_ns, os.environ["TEST_CLOCK"]
def _offset():
    with open(_path) as file:
        return int(file.read() or 0)
time.time = lambda: _time() + _offset()
time.time_ns = lambda: _time_ns() + _offset() * 1_000_000_000
"""
_DAY = 86_400


class Clock:
    """The wall clock of all parts of a node."""

    def __init__(self, node: Node) -> None:
        folder = node.folder / "clock"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(_CLOCK)
        self._path = folder / "offset"
        self.jump_to(0)
        path = node.environment.get("PYTHONPATH", "")
        node.variables["PYTHONPATH"] = f"{folder}:{path}" if path else str(folder)
        node.variables["TEST_CLOCK"] = str(self._path)

    def jump_to(self, seconds: int) -> None:
        """Let the clock be ``seconds`` ahead of the true time."""
        temporary = Path(f"{self._path}.tmp")
        temporary.write_text(str(seconds))
        temporary.rename(self._path)


def test_a_clock_that_jumps_by_days_costs_nothing(node: Node) -> None:
    clock = Clock(node)
    node.start_daemon()
    with training(node) as trainer:
        for offset in (2 * _DAY, -3 * _DAY, 0):
            clock.jump_to(offset)
            trainer.wait_for_steps(200)
        steps, _ = trainer.finish()
    assert_all_stored(node, steps)
    store = connect_embedded(node.data)
    try:
        (times,) = store.query("SELECT max(time) - min(time) AS span FROM points")
    finally:
        store.close()
    # The jumps did reach `log`: else this test shows nothing.
    assert int(times["span"]) > 4 * _DAY * 1_000_000


def test_a_daemon_that_starts_in_the_past_goes_on(node: Node) -> None:
    clock = Clock(node)
    node.start_daemon()
    with training(node) as trainer:
        trainer.wait_for_steps(100)
        assert node.stop_daemon() == 0
        clock.jump_to(-40 * _DAY)
        node.start_daemon()
        trainer.wait_for_steps(100)
        steps, _ = trainer.finish()
    assert_all_stored(node, steps)
