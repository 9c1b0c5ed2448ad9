"""Nothing that `log` returned for is lost, nothing is stored twice, whatever is killed when."""

import os
import random

import pytest

from tests.system import crash

pytestmark = pytest.mark.holds("kill-trainer", "kill-daemon", "kill-engine")


@pytest.mark.holds("logged-survives-kills", "stored-once")
@pytest.mark.slow
def test_a_hundred_random_kills_lose_nothing_and_double_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seed = int(os.environ.get("STEPWELL_TEST_SEED") or random.SystemRandom().randrange(2**32))
    with capsys.disabled():
        result = crash.run(kills=100, seed=seed)
        print(result)
    assert sum(result["kills"].values()) == 100
    assert set(result["kills"]) == {"trainer", "daemon", "engine"}
    assert result["points"] > 10_000


@pytest.mark.holds("logged-survives-kills")
@pytest.mark.slow
def test_random_kills_of_the_server_too_lose_nothing_and_double_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seed = int(os.environ.get("STEPWELL_TEST_SEED") or random.SystemRandom().randrange(2**32))
    with capsys.disabled():
        result = crash.run(kills=30, seed=seed, trainers=2, shape="server")
        print(result)
    assert sum(result["kills"].values()) == 30
    assert "engine" not in result["kills"]
    assert result["points"] > 1000
