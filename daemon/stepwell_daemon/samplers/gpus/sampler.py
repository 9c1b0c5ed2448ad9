"""The sampler of GPUs: readings of GPUs that answer, conditions of GPUs that do not.

    absent            no driver, or no GPU: normal; looked for again, ever more rarely
    driver_gone       there were GPUs, and now there is no driver
    driver_replaced   the driver was upgraded: only a new process can load the new library
    failing           the driver does not open
    lost              a GPU fell off the bus, or does not come back after the driver's restart
    hung              a GPU's call has not returned; it gets no other before it does
    fault             a GPU had a critical XID event within the last hour

While a GPU is lost, the driver is opened again from time to time, because this brings a GPU back
after a reset. Devices are recognised by their UUIDs, because an index may be another GPU's after a
restart.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from stepwell_daemon.backoff import Backoff
from stepwell_daemon.samplers.gpus.errors import (
    DRIVER_GONE,
    DriverMissingError,
    DriverReplacedError,
    GpuError,
    GpuLostError,
)
from stepwell_daemon.samplers.gpus.nvml import Gpu, Nvml
from stepwell_daemon.samplers.gpus.probes import GpuSample, MigInstance
from stepwell_daemon.samplers.gpus.worker import GpuWorker
from stepwell_daemon.samplers.gpus.xids import CRITICAL, XidCounts, XidWatch, meaning
from stepwell_daemon.samplers.protocol import Condition, Device, Reading, SamplerContext
from stepwell_daemon.samplers.rates import Rates

logger = logging.getLogger("stepwell_daemon")

DEVICE_SECONDS: Final = 3.0
"""Time limit for one GPU. All are read at once, so it is the limit for all of them together."""

_FIRST_RETRY_SECONDS: Final = 5.0
_LAST_RETRY_SECONDS: Final = 600.0
_ABSENT_RETRY_SECONDS: Final = 60.0
_XIDS_END_SECONDS: Final = 2.0
_FAULT_SECONDS: Final = 3600.0
_DRIVER: Final = Device("gpu", "gpu-driver")
_RATES_OF: Final = "_bytes_total"
"""Only these counters get rates: the others hardly ever change."""


@dataclass(slots=True)
class _Open:
    """An open driver and its workers."""

    nvml: Nvml
    workers: list[GpuWorker]
    xids: XidWatch
    unreachable: list[int]
    """Indices of GPUs that the driver does not open."""

    @property
    def gpus(self) -> list[Gpu]:
        return [worker.gpu for worker in self.workers]


class GpuSampler:
    """Samples all NVIDIA GPUs of the node. One call takes little more than ``device_seconds``.

    Attributes:
        device_seconds: a GPU that does not answer for so long counts as hung.
    """

    def __init__(
        self,
        context: SamplerContext,
        *,
        open_nvml: Callable[[], Nvml] = Nvml.open,
        device_seconds: float = DEVICE_SECONDS,
        first_retry_seconds: float = _FIRST_RETRY_SECONDS,
    ) -> None:
        """
        Args:
            first_retry_seconds: time from the loss of a driver or a GPU to the first attempt to
                open the driver again; doubled after each attempt.
        """
        self._clock = context.clock
        self._processes = context.gpu_processes
        self._open_nvml = open_nvml
        self.device_seconds = device_seconds
        self._open: _Open | None = None
        self._left: list[_Open] = []  # Closed drivers with calls that hang.
        self._known: dict[str, Device] = {}  # By UUID, since the daemon's start.
        self._counts = XidCounts()
        self._rates = Rates()
        self._backoff = Backoff(first_seconds=first_retry_seconds, last_seconds=_LAST_RETRY_SECONDS)
        self._retry_at = 0.0
        self._why_closed: Condition | None = None

    def sample(self) -> list[Reading | Condition]:
        if self._open is None:
            if self._why_closed is not None and self._clock() < self._retry_at:
                return [self._why_closed]
            if stuck := self._stuck():
                return stuck
            self._why_closed = self._opened()
            if self._why_closed is not None:
                return [self._why_closed]
        assert self._open is not None
        try:
            return self._sample(self._open)
        except DRIVER_GONE as error:
            self.close()
            self._why_closed = self._closed_by(error)
            return [self._why_closed]

    # ------------------------------------------------------------------ an open driver

    def _sample(self, held: _Open) -> list[Reading | Condition]:
        asked = [worker for worker in held.workers if worker.ask()]
        deadline = time.monotonic() + self.device_seconds
        samples: dict[str, GpuSample] = {}
        conditions: list[Condition] = []
        gone: GpuError | None = None
        for worker in asked:
            try:
                sample = worker.answer(deadline)
            except DRIVER_GONE as error:
                gone = error  # First read all answers: calls that hang decide how to close.
            except GpuLostError as error:
                conditions.append(_lost(_device(worker.gpu), error))
            except GpuError as error:
                text = f"{worker.gpu.label} ({worker.gpu.model}): reading failed: {error}"
                conditions.append(Condition(_device(worker.gpu), "failing", text))
            else:
                if sample is not None:
                    samples[worker.gpu.uuid] = sample
        if gone is not None:
            raise gone
        conditions += [_hung(worker) for worker in held.workers if worker.hung_since is not None]
        conditions += self._missing(held)
        conditions += self._faults(held, {each.device.label for each in conditions})
        readings = list(self._readings(held, samples))
        self._processes.publish(_by_pid(held, samples))
        answer: list[Reading | Condition] = [*readings, *conditions]
        self._reopen_if_lost(conditions)
        return answer

    def _readings(self, held: _Open, samples: Mapping[str, GpuSample]) -> Iterator[Reading]:
        rates = self._rates.take(
            {
                uuid: {name: n for name, n in sample.values.items() if name.endswith(_RATES_OF)}
                for uuid, sample in samples.items()
            },
            self._clock(),
        )
        for gpu in held.gpus:
            if (sample := samples.get(gpu.uuid)) is None:
                continue
            values = {**sample.values, **rates[gpu.uuid], **self._counts.values(gpu.uuid)}
            yield Reading(_device(gpu), values)
            for instance in sample.instances:
                yield Reading(_instance_device(gpu, instance), instance.values)

    def _missing(self, held: _Open) -> Iterator[Condition]:
        """Yield GPUs that the driver counts, or that existed before, and that it does not open."""
        here = {gpu.uuid for gpu in held.gpus}
        gone = [device for uuid, device in self._known.items() if uuid not in here]
        for device in gone:
            yield _lost(device, "the driver cannot open it any more")
        labels = {device.label for device in gone}
        for index in held.unreachable:
            if (label := f"gpu{index}") not in labels:
                yield _lost(Device("gpu", label), "the driver cannot open it")

    def _faults(self, held: _Open, reported: set[str]) -> Iterator[Condition]:
        for gpu in held.gpus:
            last = self._counts.last(gpu.uuid)
            if last is None or gpu.label in reported or last[0] not in CRITICAL:
                continue
            code, at = last
            if time.time() - at < _FAULT_SECONDS:
                text = (
                    f"{gpu.label} ({gpu.model}): XID {code} ({meaning(code)}) at "
                    f"{time.strftime('%H:%M:%S', time.localtime(at))}: see the kernel's log"
                )
                yield Condition(_device(gpu), "fault", text)

    def _reopen_if_lost(self, conditions: list[Condition]) -> None:
        """Open the driver again at the next turn, if a GPU is lost and the delay is over.

        Not while a call hangs, because the driver would wait for it.
        """
        states = {each.state for each in conditions}
        if "lost" not in states:
            self._backoff.reset()
            self._retry_at = 0.0
        elif "hung" not in states:
            now = self._clock()
            if not self._retry_at:
                self._retry_at = now + self._backoff.next_delay()
            elif now >= self._retry_at:
                self.close()

    # ------------------------------------------------------------------ opening and closing

    def _opened(self) -> Condition | None:
        """Open the driver; return None, or the reason why it does not open."""
        try:
            nvml = self._open_nvml()
        except GpuError as error:
            return self._closed_by(error)
        try:
            gpus, unreachable = nvml.devices()
        except GpuError as error:
            nvml.close()
            return self._closed_by(error)
        if not gpus and not unreachable:
            nvml.close()
            return self._closed_by(DriverMissingError("the driver reports no GPU"))
        workers = [GpuWorker(gpu) for gpu in gpus]
        held = _Open(nvml, workers, XidWatch(nvml, gpus, self._counts), unreachable)
        held.xids.start()
        for gpu in gpus:
            self._known[gpu.uuid] = _device(gpu)
        logger.info("sampling GPUs count=%d driver=%s", len(gpus), nvml.driver_version)
        self._open = held
        self._retry_at = 0.0
        return None

    def _stuck(self) -> list[Reading | Condition]:
        """Return the conditions of calls that still hang from an earlier opening of the driver.

        The driver is not opened again before they have returned: the opening could hang too, and
        leave more threads each time.
        """
        self._left = [
            held
            for held in self._left
            if not held.xids.stop(0.0) or any(worker.is_stuck for worker in held.workers)
        ]
        if not self._left:
            return []
        hung = [_hung(each) for held in self._left for each in held.workers if each.is_stuck]
        text = (
            "no GPU is sampled: the NVIDIA driver was unloaded, and a call to it has not returned"
        )
        return [*hung] or [Condition(_DRIVER, "hung", f"{text}: see the kernel's log")]

    def close(self) -> None:
        """Close the driver; if one of its calls hangs, leave it open. The next sample opens it."""
        held = self._open
        self._open = None
        if held is None:
            return
        for worker in held.workers:
            worker.close()
        if held.xids.stop(_XIDS_END_SECONDS) and not any(
            worker.hung_since is not None for worker in held.workers
        ):
            held.nvml.close()
        else:
            self._left.append(held)

    def _closed_by(self, error: GpuError) -> Condition:
        """Return the condition, and set the time of the next attempt."""
        delay = self._backoff.next_delay()
        were_here = bool(self._known)
        if isinstance(error, DriverMissingError) and not were_here:
            delay = max(delay, _ABSENT_RETRY_SECONDS)
        self._retry_at = self._clock() + delay
        if isinstance(error, DriverReplacedError):
            text = (
                "no GPU is sampled: the NVIDIA driver was upgraded while this daemon ran. "
                "Restart the daemon (and the machine, if nvidia-smi reports a mismatch too)"
            )
            return Condition(_DRIVER, "driver_replaced", text)
        if isinstance(error, DRIVER_GONE):
            if were_here:
                text = (
                    f"no GPU is sampled: the NVIDIA driver was unloaded ({error}); see nvidia-smi"
                )
                return Condition(_DRIVER, "driver_gone", text)
            return Condition(_DRIVER, "absent", f"no NVIDIA GPU found ({error})", is_problem=False)
        text = f"no GPU is sampled: opening the NVIDIA driver failed ({error}); see nvidia-smi"
        return Condition(_DRIVER, "failing", text)


def _device(gpu: Gpu) -> Device:
    facts = (
        ("index", str(gpu.index)),
        ("pci_bus_id", gpu.pci_bus_id),
        ("driver", gpu.nvml.driver_version),
    )
    return Device("gpu", gpu.label, gpu.uuid, gpu.model, facts)


def _instance_device(gpu: Gpu, instance: MigInstance) -> Device:
    facts = (
        ("gpu", gpu.label),
        ("gpu_instance", str(instance.gpu_instance)),
        ("compute_instance", str(instance.compute_instance)),
    )
    return Device("mig", _instance_label(gpu, instance), instance.uuid, gpu.model, facts)


def _instance_label(gpu: Gpu, instance: MigInstance) -> str:
    return f"{gpu.label}-mig{instance.number}"


def _lost(device: Device, why: object) -> Condition:
    model = device.name or "of unknown model"
    text = (
        f"{device.label} ({model}) is lost ({why}): see the kernel's log for its XID; "
        "usually a reset of the GPU or a restart of the machine is necessary"
    )
    return Condition(device, "lost", text)


def _hung(worker: GpuWorker) -> Condition:
    gpu = worker.gpu
    seconds = time.monotonic() - (worker.hung_since or 0.0)
    text = (
        f"{gpu.label} ({gpu.model}) has not answered for {seconds:.0f} seconds, and its next "
        "sample waits for the answer: see the kernel's log"
    )
    return Condition(_device(gpu), "hung", text)


def _by_pid(held: _Open, samples: Mapping[str, GpuSample]) -> dict[int, dict[str, int]]:
    """Return for each process its GPUs, or its instances of GPUs in MIG mode."""
    found: dict[int, dict[str, int]] = {}
    for gpu in held.gpus:
        if (sample := samples.get(gpu.uuid)) is None:
            continue
        labels = {each.gpu_instance: _instance_label(gpu, each) for each in sample.instances}
        for process in sample.processes:
            label = labels.get(process.gpu_instance, gpu.label)
            of_process = found.setdefault(process.pid, {})
            of_process[label] = of_process.get(label, 0) + process.memory_bytes
    return found
