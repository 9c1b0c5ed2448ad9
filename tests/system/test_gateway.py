"""Two nodes, a gateway, a store: what is logged arrives once, whatever is killed when."""

import os
import random

import pytest

from tests.system import crash


@pytest.mark.slow
def test_random_kills_of_nodes_gateway_and_engine_lose_nothing_and_double_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seed = int(os.environ.get("STEPWELL_TEST_SEED") or random.SystemRandom().randrange(2**32))
    with capsys.disabled():
        result = crash.run(kills=20, seed=seed, trainers=2, shape="gateway")
        print(result)
    assert sum(result["kills"].values()) == 20
    assert result["points"] > 1000
