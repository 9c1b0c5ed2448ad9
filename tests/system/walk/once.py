"""One walk: a seed says what is done."""

import random
import traceback
from collections.abc import Callable

from tests.system.walk.moves import Walk
from tests.system.walk.site import Shape, made_site

_MOVES_BETWEEN_CHECKS = (3, 9)


class WalkError(AssertionError):
    """A walk found something wrong; it says which seed and what was done."""


def walk(
    seed: int,
    *,
    moves: int = 30,
    shape: Shape = "embedded",
    keep: bool = False,
    look: Callable[[Walk], object] = lambda walking: None,
) -> Walk:
    """Walk once; return what was done.

    Args:
        look: looks at the end as well; the daemons still run.

    Raises:
        WalkError: What is stored is not what the model has.
    """
    chance = random.Random(seed)
    with made_site(shape, keep=keep) as site:
        walking = Walk(site, chance)
        try:
            next_check = chance.randint(*_MOVES_BETWEEN_CHECKS)
            for number in range(1, moves + 1):
                walking.step()
                if number == next_check:
                    walking.check()
                    next_check += chance.randint(*_MOVES_BETWEEN_CHECKS)
            walking.check()
            look(walking)
        except Exception as error:
            done = "\n".join(f"  {each}" for each in walking.done)
            where = "" if isinstance(error, AssertionError) else traceback.format_exc()
            raise WalkError(f"seed {seed} ({shape}):\n{done}\n{error!s}\n{where}") from error
        finally:
            walking.close()
        return walking
