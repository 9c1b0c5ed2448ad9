"""Converts counters of devices to rates over the time since an earlier sample."""

from collections.abc import Mapping
from typing import Final

SPAN_SECONDS_MIN: Final = 0.5
"""A rate over less time is unknown: the system counts in steps of 10 ms."""


class Rates:
    """Remembers the counters of each device from one sample to the next."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[float, Mapping[str, float]]] = {}

    def take(
        self, counters: Mapping[str, Mapping[str, float]], now: float
    ) -> dict[str, dict[str, float]]:
        """Return per device its counters with, for each ``X_total``, a rate ``X_per_second``.

        The first sample of a device has no rates. A sample within half a second has none either:
        the next one's rates include its time. A counter that has decreased was reset and has no
        rate. Devices that are gone are forgotten.

        Args:
            counters: device to counter name to value.
            now: monotonic seconds.
        """
        found = {}
        kept = {}
        for device, values in counters.items():
            at, before = self._before.get(device, (now, values))
            found[device] = dict(values)
            if now - at < SPAN_SECONDS_MIN:
                kept[device] = (at, before)
                continue
            kept[device] = (now, values)
            for name, value in values.items():
                if name in before and value >= before[name]:
                    rate = name.removesuffix("_total") + "_per_second"
                    found[device][rate] = (value - before[name]) / (now - at)
        self._before = kept
        return found
