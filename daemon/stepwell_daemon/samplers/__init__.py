"""Samplers: read a device on a schedule, in base units."""

from collections.abc import Mapping
from typing import Protocol


class Sampler(Protocol):
    """One device or host. Called in a thread, never twice at once."""

    def sample(self) -> Mapping[str, float]:
        """Return the metrics that can be read now; what cannot be read is absent, not zero."""
