"""The node's disks: space on the data folder's file system, and the traffic of each disk.

Only whole physical disks count, because a partition or a logical volume would count the same bytes
again. The reading of the node is the system's sum.
"""

from pathlib import Path

import psutil

from stepwell_daemon.samplers.protocol import DEVICES_MAX, NODE, Device, Reading, SamplerContext
from stepwell_daemon.samplers.rates import Rates

_BLOCK = Path("/sys/block")
_MILLISECONDS = 1000.0


class DiskSampler:
    """Reads disks. A disk is busy while at least one request is in flight."""

    def __init__(self, context: SamplerContext, *, block: Path = _BLOCK) -> None:
        """
        Args:
            block: the folder that has one entry for each block device.
        """
        self._folder = context.data
        self._clock = context.clock
        self._block = block
        self._rates = Rates()

    def sample(self) -> list[Reading]:
        counters = {name: _counters(disk) for name, disk in self._disks().items()}
        if (total := psutil.disk_io_counters(nowrap=False)) is not None:
            counters[""] = _counters(total)
            counters[""].pop("disk/busy_seconds_total", None)  # A sum over disks has no meaning.
        readings = [Reading(NODE, self._space())]
        for name, values in self._rates.take(counters, self._clock()).items():
            if (busy := values.pop("disk/busy_seconds_per_second", None)) is not None:
                values["disk/busy_ratio"] = min(1.0, busy)
            device = Device("disk", name, _serial(self._block / name)) if name else NODE
            readings.append(Reading(device, values))
        return readings

    def _disks(self) -> "dict[str, psutil._ntp.sdiskio]":
        disks = psutil.disk_io_counters(perdisk=True, nowrap=False)
        physical = sorted(name for name in disks if (self._block / name / "device").exists())
        return {name: disks[name] for name in physical[: DEVICES_MAX - 1]}

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


def _counters(disk: "psutil._ntp.sdiskio") -> dict[str, float]:
    values = {
        "disk/read_bytes_total": float(disk.read_bytes),
        "disk/written_bytes_total": float(disk.write_bytes),
        "disk/reads_total": float(disk.read_count),
        "disk/writes_total": float(disk.write_count),
    }
    busy = getattr(disk, "busy_time", None)
    if busy is not None:
        values["disk/busy_seconds_total"] = busy / _MILLISECONDS
    return values


def _serial(folder: Path) -> str:
    for name in ("wwid", "device/wwid", "device/serial", "serial"):
        try:
            return (folder / name).read_text("utf-8", "replace").strip()
        except OSError:
            continue
    return ""
