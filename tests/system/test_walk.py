"""A short random walk of fixed seeds; `python -m tests.system.walk` goes further."""

import pytest

from tests.system.walk.once import walk
from tests.system.walk.site import Shape

pytestmark = pytest.mark.slow

SEEDS: tuple[tuple[int, Shape], ...] = ((1, "embedded"), (2, "gateway"))


# Ten seconds each on two cores: the only test in which what users do meets in any order.
@pytest.mark.holds("every-value-is-shown")
@pytest.mark.parametrize(("seed", "shape"), SEEDS)
def test_a_random_walk_finds_every_stored_value_and_none_of_a_removed_run(
    seed: int, shape: Shape
) -> None:
    done = walk(seed, moves=12, shape=shape)
    assert done.model.runs
