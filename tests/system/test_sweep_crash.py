"""Each point of a grid has one result in the end, whatever part of the sweep is killed when."""

import os
import random

import pytest

from tests.system import sweep_crash

pytestmark = pytest.mark.holds("kill-sweep")


@pytest.mark.processes
def test_random_kills_lose_no_trial_and_count_none_twice(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seed = int(os.environ.get("STEPWELL_TEST_SEED") or random.SystemRandom().randrange(2**31))
    with capsys.disabled():
        result = sweep_crash.run(seed=seed, points=12, kills=8)
        print(result)
    assert result["points"] == 12
    assert sum(result["kills"].values()) > 0
