"""The node's processors and memory, through psutil. Bytes and ratios from 0 to 1."""

import os

import psutil

from stepwell_daemon.samplers.protocol import NODE, Reading, SamplerContext


class HostSampler:
    """Reads the node as a whole. Unknown values are left out, never zero."""

    def __init__(self, context: SamplerContext) -> None:
        psutil.cpu_times_percent(interval=None)  # Shares are of the time since the previous call.

    def sample(self) -> tuple[Reading, ...]:
        return (Reading(NODE, {**_processors(), **_memory()}),)


def _processors() -> dict[str, float]:
    shares = psutil.cpu_times_percent(interval=None)
    # Not from the idle share: after too short a time psutil returns zero for everything.
    idle = ("idle", "iowait", "guest", "guest_nice")
    busy = sum(share for name, share in shares._asdict().items() if name not in idle)
    values = {
        "cpu/utilization_ratio": min(1.0, busy / 100.0),
        "cpu/cores": float(psutil.cpu_count() or 0),
    }
    for name in ("user", "system", "iowait", "steal"):
        share = getattr(shares, name, None)
        if share is not None:
            values[f"cpu/{name}_ratio"] = share / 100.0
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
