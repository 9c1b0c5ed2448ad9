"""XID events: faults that the driver reports, counted by GPU and code.

The driver reports each event once, to a waiting caller. So one thread waits, half a second at a
time, and the sampler reads the counts. The codes: docs.nvidia.com/deploy/xid-errors.
"""

import logging
import threading
import time
from collections import Counter
from typing import Any, Final

from stepwell_daemon.samplers.gpus.nvml import Gpu, Nvml

logger = logging.getLogger("stepwell_daemon")

_WAIT_MS: Final = 500
_CODES_MAX: Final = 32
"""Number of codes of a GPU that are counted separately; further codes count as code 0."""
_PAUSE_SECONDS: Final = 5.0

CRITICAL: Final = frozenset((48, 62, 64, 74, 79, 94, 95, 119, 120))
"""Codes of faults in hardware or firmware. Other codes are mostly faults of a program."""

_MEANINGS: Final = {
    13: "graphics engine exception, usually a program error",
    31: "memory page fault, usually a program error",
    43: "GPU stopped processing, usually a program error",
    48: "double bit ECC error",
    62: "internal micro-controller halt",
    63: "row remapping event",
    64: "row remapping failure",
    74: "NVLink error",
    79: "GPU has fallen off the bus",
    92: "high single-bit ECC error rate",
    94: "contained memory error",
    95: "uncontained memory error",
    119: "GSP did not answer in time",
    120: "GSP error",
}


def meaning(code: int) -> str:
    return _MEANINGS.get(code, "see docs.nvidia.com/deploy/xid-errors")


class XidWatch:
    """Waits for XID events of all GPUs of an open driver. Counts can be read from any thread.

    Attributes:
        is_watching: events are counted from this point on.
    """

    def __init__(self, nvml: Nvml, gpus: list[Gpu], counts: "XidCounts") -> None:
        self._nvml = nvml
        self._gpus = gpus
        self._counts = counts
        self.is_watching = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sample-gpu-xids", daemon=True)

    def start(self) -> None:
        """Start waiting.

        Raises:
            RuntimeError: The system has no thread left.
        """
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """End the thread and return whether it has ended within ``seconds``."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        pynvml = self._nvml.library
        try:
            events = pynvml.nvmlEventSetCreate()
        except pynvml.NVMLError as error:
            logger.info("watching XID events failed error=%s", error)
            return
        try:
            if by_handle := self._registered(events):
                self.is_watching = True
                self._wait(events, by_handle)
        finally:
            try:
                pynvml.nvmlEventSetFree(events)
            except pynvml.NVMLError:
                pass  # The driver has released it.

    def _registered(self, events: Any) -> dict[int, str]:
        pynvml = self._nvml.library
        by_handle: dict[int, str] = {}
        wanted = pynvml.nvmlEventTypeXidCriticalError
        for gpu in self._gpus:
            try:
                if pynvml.nvmlDeviceGetSupportedEventTypes(gpu.handle) & wanted:
                    pynvml.nvmlDeviceRegisterEvents(gpu.handle, wanted, events)
                    by_handle[_address(gpu.handle)] = gpu.uuid
            except pynvml.NVMLError as error:
                logger.info("watching XID events failed gpu=%s error=%s", gpu.label, error)
        return by_handle

    def _wait(self, events: Any, by_handle: dict[int, str]) -> None:
        pynvml = self._nvml.library
        while not self._stopped.is_set():
            try:
                event = pynvml.nvmlEventSetWait(events, _WAIT_MS)
            except pynvml.NVMLError as error:
                if error.value != pynvml.NVML_ERROR_TIMEOUT:
                    # The sampler sees the same error and opens the driver again.
                    self._stopped.wait(_PAUSE_SECONDS)
                continue
            if uuid := by_handle.get(_address(event.device)):
                self._counts.add(uuid, int(event.eventData))


def _address(handle: Any) -> int:
    from ctypes import c_void_p, cast

    return cast(handle, c_void_p).value or 0


class XidCounts:
    """XID events since the daemon's start, by GPU. Survives restarts of the driver."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, Counter[int]] = {}
        self._last: dict[str, tuple[int, float]] = {}

    def add(self, uuid: str, code: int) -> None:
        """Count one event and log it."""
        with self._lock:
            codes = self._counts.setdefault(uuid, Counter())
            is_first = code not in codes
            codes[code if len(codes) < _CODES_MAX or not is_first else 0] += 1
            self._last[uuid] = (code, time.time())
        if is_first:
            logger.warning("GPU fault uuid=%s xid=%d meaning=%s", uuid, code, meaning(code))

    def values(self, uuid: str) -> dict[str, float]:
        """Return the counts of a GPU, all and by code; 0 if there was none."""
        with self._lock:
            codes = dict(self._counts.get(uuid, {}))
        found = {"gpu/xid_events_total": float(sum(codes.values()))}
        return found | {f"gpu/xid_{code}_events_total": float(n) for code, n in codes.items()}

    def last(self, uuid: str) -> tuple[int, float] | None:
        """Return code and time, in seconds since 1970 UTC, of the newest event of a GPU."""
        with self._lock:
            return self._last.get(uuid)
