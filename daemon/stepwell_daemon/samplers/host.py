"""The node's processors and memory, through psutil. Bytes and ratios from 0 to 1."""

import os
from collections.abc import Mapping
from typing import Final

import psutil

from stepwell_daemon.samplers.protocol import NODE, Reading, SamplerContext
from stepwell_daemon.samplers.rates import SPAN_SECONDS_MIN

_PARTS_OF_OTHERS: Final = ("guest", "guest_nice")
"""The system counts these times in ``user`` and ``nice`` too."""
_IDLE: Final = ("idle", "iowait")


class HostSampler:
    """Reads the node as a whole. Unknown values are left out, never zero.

    So the first sample has no shares of processor time.
    """

    def __init__(self, context: SamplerContext) -> None:
        self._clock = context.clock
        self._before: tuple[float, Mapping[str, float]] | None = None

    def sample(self) -> tuple[Reading, ...]:
        return (Reading(NODE, {**self._shares(), **_load(), **_memory()}),)

    def _shares(self) -> dict[str, float]:
        """Return shares of the processors' time since an earlier sample."""
        now, times = self._clock(), psutil.cpu_times()._asdict()
        at, before = self._before or (now, times)
        if self._before is not None and now - at < SPAN_SECONDS_MIN:
            return {}  # The next sample's shares include this time.
        self._before = (now, times)
        spent = {
            # The kernel's counts of idle and iowait can decrease a little.
            name: max(0.0, seconds - before.get(name, seconds))
            for name, seconds in times.items()
            if name not in _PARTS_OF_OTHERS
        }
        total = sum(spent.values())
        if total <= 0.0:
            return {}
        busy = sum(seconds for name, seconds in spent.items() if name not in _IDLE)
        shares = {"cpu/utilization_ratio": busy / total}
        for name in ("user", "system", "iowait", "steal"):
            if name in spent:
                shares[f"cpu/{name}_ratio"] = spent[name] / total
        return shares


def _load() -> dict[str, float]:
    values = {}
    if (cores := psutil.cpu_count()) is not None:
        values["cpu/cores"] = float(cores)
    for name, load in zip(("1m", "5m", "15m"), os.getloadavg(), strict=True):
        values[f"load/{name}"] = load
    return values


def _memory() -> dict[str, float]:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return {
        "memory/used_bytes": float(memory.total - memory.available),
        "memory/available_bytes": float(memory.available),
        "memory/total_bytes": float(memory.total),
        "memory/utilization_ratio": (memory.total - memory.available) / max(memory.total, 1),
        "swap/used_bytes": float(swap.used),
        "swap/total_bytes": float(swap.total),
    }
