"""Questions that are asked at the same time."""

import os
import signal
import threading

import pytest

from stepwell_store.queries.limits import together


def test_all_are_asked_at_the_same_time_and_answered_in_order() -> None:
    meeting = threading.Barrier(3, timeout=30)
    assert together(*(lambda n=n: (meeting.wait(), n)[1] for n in range(3))) == [0, 1, 2]


def test_an_error_is_raised_after_all_have_ended() -> None:
    ended = threading.Event()

    def fails() -> None:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        together(fails, ended.set)
    assert ended.is_set()


@pytest.mark.processes
def test_a_forked_child_asks_as_well() -> None:
    assert together(lambda: 1, lambda: 2) == [1, 2]
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)  # Ends a child that waits for its parent's threads.
        os._exit(0 if together(lambda: 1, lambda: 2) == [1, 2] else 1)
    assert os.waitpid(pid, 0)[1] == 0
