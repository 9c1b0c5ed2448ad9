"""The GPU memory of each process: shared from the sampler that reads it to the one that uses it."""

import time
from collections.abc import Callable, Mapping
from typing import Final

_FRESH_SECONDS: Final = 60.0
"""Older facts are not used: the GPUs have not been read since."""

ByLabel = Mapping[str, int]
"""Labels of GPUs or MIG instances to bytes."""


class GpuProcesses:
    """The newest facts. Any thread may read while one writes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._newest: tuple[float, Mapping[int, ByLabel]] | None = None

    def publish(self, by_pid: Mapping[int, ByLabel]) -> None:
        """Replace the facts; ``by_pid`` must not change after this call."""
        self._newest = (self._clock(), by_pid)

    def newest(self) -> Mapping[int, ByLabel] | None:
        """Return process ids to their memory; None if the GPUs are not read."""
        held = self._newest
        if held is None or self._clock() - held[0] > _FRESH_SECONDS:
            return None
        return held[1]
