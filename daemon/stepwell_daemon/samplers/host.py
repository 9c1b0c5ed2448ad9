"""The host: CPU, memory, disk and network of the whole node, through psutil and /proc."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

_VIRTUAL_DISKS = ("loop", "ram", "zram", "dm-", "md", "sr")


class HostSampler:
    """Reads the node. Rates are over the time since the last sample."""

    def __init__(
        self,
        data_dir: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        proc: Path = Path("/proc"),
    ) -> None:
        self._data_dir = data_dir
        self._clock = clock
        self._proc = proc
        self._last_at: float | None = None
        self._last_totals: dict[str, float] = {}
        self._last_cpu: tuple[float, float] | None = None

    def sample(self) -> Mapping[str, float]:
        now = self._clock()
        values: dict[str, float] = {}
        for read in (self._cpu, self._memory, self._disk_space, self._pressure):
            try:
                values |= read()
            except (OSError, RuntimeError, AttributeError, ValueError):
                continue  # Not on this machine, or not now: absent.
        totals: dict[str, float] = {}
        for read_totals in (_disk_totals, _network_totals):
            try:
                totals |= read_totals()
            except (OSError, RuntimeError, AttributeError):
                continue
        if self._last_at is not None and now > self._last_at:
            for name, total in totals.items():
                grown = total - self._last_totals.get(name, total)
                if grown >= 0:  # A counter that fell was reset: no rate this time.
                    rate = name.removesuffix("_total") + "_per_second"
                    values[rate] = grown / (now - self._last_at)
        values |= totals
        self._last_at, self._last_totals = now, totals
        return values

    def _cpu(self) -> dict[str, float]:
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        values = {"cpu/count": float(psutil.cpu_count() or 0)}
        if self._last_cpu is not None and total > self._last_cpu[1]:
            share = (idle - self._last_cpu[0]) / (total - self._last_cpu[1])
            values["cpu/utilization_ratio"] = min(1.0, max(0.0, 1.0 - share))
        self._last_cpu = idle, total
        for name, load in zip(("1m", "5m", "15m"), psutil.getloadavg(), strict=True):
            values[f"cpu/load_{name}"] = load
        return values

    def _memory(self) -> dict[str, float]:
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        return {
            "memory/total_bytes": float(memory.total),
            "memory/available_bytes": float(memory.available),
            "memory/used_bytes": float(memory.total - memory.available),
            "memory/swap_used_bytes": float(swap.used),
        }

    def _disk_space(self) -> dict[str, float]:
        usage = psutil.disk_usage(str(self._data_dir))
        return {"disk/total_bytes": float(usage.total), "disk/free_bytes": float(usage.free)}

    def _pressure(self) -> dict[str, float]:
        """Pressure stall information: the share of the last 10 s in which some task waited."""
        values = {}
        for resource in ("cpu", "memory", "io"):
            line = (self._proc / "pressure" / resource).read_text().splitlines()[0]
            share = line.split("avg10=")[1].split()[0]
            values[f"pressure/{resource}_some_ratio"] = float(share) / 100.0
        return values


def _disk_totals() -> dict[str, float]:
    totals = {"disk/read_bytes_total": 0.0, "disk/written_bytes_total": 0.0}
    disks = psutil.disk_io_counters(perdisk=True, nowrap=True)
    whole = {
        name
        for name in disks
        # A partition's traffic is in its disk's counters already.
        if not name.startswith(_VIRTUAL_DISKS) and (Path("/sys/block") / name).exists()
    }
    for name in whole:
        totals["disk/read_bytes_total"] += disks[name].read_bytes
        totals["disk/written_bytes_total"] += disks[name].write_bytes
    return totals if whole else {}


def _network_totals() -> dict[str, float]:
    totals = {"network/received_bytes_total": 0.0, "network/sent_bytes_total": 0.0}
    for name, counters in psutil.net_io_counters(pernic=True, nowrap=True).items():
        if name != "lo":
            totals["network/received_bytes_total"] += counters.bytes_recv
            totals["network/sent_bytes_total"] += counters.bytes_sent
    return totals
