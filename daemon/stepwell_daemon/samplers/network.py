"""The node's network interfaces: bytes, errors and dropped packets of each.

Virtual interfaces (bridges, ends of containers) would count the same bytes again, so only physical
ones count. A container has no physical one; there every interface except loopback counts.
"""

from pathlib import Path

import psutil

from stepwell_daemon.samplers.protocol import DEVICES_MAX, NODE, Device, Reading, SamplerContext
from stepwell_daemon.samplers.rates import Rates

_NET = Path("/sys/class/net")
_LOOPBACK = "lo"


class NetworkSampler:
    """Reads network interfaces."""

    def __init__(self, context: SamplerContext, *, net: Path = _NET) -> None:
        """
        Args:
            net: the folder with one entry for each network interface.
        """
        self._clock = context.clock
        self._net = net
        self._rates = Rates()

    def sample(self) -> list[Reading]:
        interfaces = psutil.net_io_counters(pernic=True, nowrap=False)
        shown = sorted(name for name in interfaces if (self._net / name / "device").exists())
        if not shown:
            shown = sorted(name for name in interfaces if name != _LOOPBACK)
        counters = {name: _counters(interfaces[name]) for name in shown[: DEVICES_MAX - 1]}
        if (total := psutil.net_io_counters(nowrap=False)) is not None:
            counters[""] = _counters(total)
        return [
            Reading(Device("network", name, self._address(name)) if name else NODE, values)
            for name, values in self._rates.take(counters, self._clock()).items()
        ]

    def _address(self, name: str) -> str:
        try:
            return (self._net / name / "address").read_text("ascii", "replace").strip()
        except OSError:
            return ""


def _counters(interface: "psutil._ntp.snetio") -> dict[str, float]:
    return {
        "network/receive_bytes_total": float(interface.bytes_recv),
        "network/transmit_bytes_total": float(interface.bytes_sent),
        "network/receive_errors_total": float(interface.errin + interface.dropin),
        "network/transmit_errors_total": float(interface.errout + interface.dropout),
    }
