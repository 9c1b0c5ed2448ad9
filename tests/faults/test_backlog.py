"""A start with a backlog, in small: the command works and every point is stored."""

import pytest

from tests.faults.backlog import drain, write_backlog
from tests.node import Node


@pytest.mark.holds("backlog")
@pytest.mark.processes
def test_a_backlog_is_stored_exactly_after_a_kill(node: Node) -> None:
    points = write_backlog(node.data / "spool", 24 << 20, segment_bytes=4 << 20)
    told: list[str] = []
    found = drain(node, points, every=0.1, tell=told.append)
    assert found.points == points
    assert "accepts" in told[0]
