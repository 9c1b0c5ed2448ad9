"""The host's processors, memory, disks and network, through psutil.

Units are bytes, seconds and ratios from 0 to 1. Counters are named `…_total` and come with a rate
over the time since the sample before.
"""

import os
from collections.abc import Callable
from pathlib import Path

import psutil


class HostSampler:
    """Reads the host. What the system does not tell is left out, never zero."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        """
        Args:
            folder: the disk whose space is told is the one that holds this folder.
            clock: seconds that never go back.
        """
        self._folder = folder
        self._clock = clock
        self._before: dict[str, float] = {}
        self._before_at = 0.0
        psutil.cpu_times_percent(interval=None)

    def sample(self) -> dict[str, float]:
        """Return metric name to value."""
        now = self._clock()
        values = {**_processors(), **_memory(), **self._space()}
        totals = _totals()
        seconds = now - self._before_at
        if self._before and seconds > 0:
            for name, value in totals.items():
                before = self._before.get(name)
                if before is not None and value >= before:  # Counters may begin anew.
                    rate = name.removesuffix("_total") + "_per_second"
                    values[rate] = (value - before) / seconds
        self._before, self._before_at = totals, now
        return {**values, **totals}

    def _space(self) -> dict[str, float]:
        try:
            usage = psutil.disk_usage(str(self._folder))
        except OSError:
            return {}
        return {
            "disk/used_bytes": float(usage.used),
            "disk/free_bytes": float(usage.free),
            "disk/total_bytes": float(usage.total),
        }


def _processors() -> dict[str, float]:
    shares = psutil.cpu_times_percent(interval=None)
    # Not from what is idle: in too short a time psutil calls everything zero.
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


def _totals() -> dict[str, float]:
    totals: dict[str, float] = {}
    disk = psutil.disk_io_counters()
    if disk is not None:
        totals["disk/read_bytes_total"] = float(disk.read_bytes)
        totals["disk/written_bytes_total"] = float(disk.write_bytes)
        totals["disk/reads_total"] = float(disk.read_count)
        totals["disk/writes_total"] = float(disk.write_count)
    network = psutil.net_io_counters()
    if network is not None:
        totals["network/receive_bytes_total"] = float(network.bytes_recv)
        totals["network/transmit_bytes_total"] = float(network.bytes_sent)
        totals["network/receive_errors_total"] = float(network.errin + network.dropin)
        totals["network/transmit_errors_total"] = float(network.errout + network.dropout)
    return totals
