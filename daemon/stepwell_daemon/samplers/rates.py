"""Converts counters of devices to rates over the time since the previous sample."""

from collections.abc import Mapping


class Rates:
    """Remembers the counters of each device from one sample to the next."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[float, Mapping[str, float]]] = {}

    def take(
        self, counters: Mapping[str, Mapping[str, float]], now: float
    ) -> dict[str, dict[str, float]]:
        """Return per device its counters with, for each ``X_total``, a rate ``X_per_second``.

        The first sample of a device has no rates. A counter that has decreased was reset and has no
        rate either. Devices that are gone are forgotten.

        Args:
            counters: device to counter name to value.
            now: monotonic seconds.
        """
        found = {}
        for device, values in counters.items():
            at, before = self._before.get(device, (now, {}))
            rates = {
                name.removesuffix("_total") + "_per_second": (value - before[name]) / (now - at)
                for name, value in values.items()
                if name in before and now > at and value >= before[name]
            }
            found[device] = {**values, **rates}
        self._before = {device: (now, values) for device, values in counters.items()}
        return found
