"""Types that a config may contain."""

from dataclasses import InitVar, dataclass, field
from typing import NamedTuple


class Pair(NamedTuple):
    left: int = 1
    right: float = 0.5


@dataclass
class Inner:
    lr: float = 0.1
    betas: tuple[float, float] = (0.9, 0.99)


@dataclass(slots=True)
class Outer:
    seed: InitVar[int] = 0
    inner: Inner = field(default_factory=Inner)
    several: list[Inner] = field(default_factory=lambda: [Inner(0.2)])


INNER = {"lr": 0.1, "betas": [0.9, 0.99]}
