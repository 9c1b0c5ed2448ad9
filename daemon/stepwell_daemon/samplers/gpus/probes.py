"""Readings of a GPU, in base units. NVML's units are known only in this file.

A value that a device does not have is requested once and then left out: it is never zero.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stepwell_daemon.samplers.gpus.errors import GONE, GpuError
from stepwell_daemon.samplers.gpus.nvml import Gpu

Values = dict[str, float]

_MILLI: Final = 1e-3
_MEGA: Final = 1e6
_KIB: Final = 1024.0
_KB: Final = 1000.0
_PERCENT: Final = 0.01
_ALL_LINKS: Final = 0xFFFF_FFFF
_BLANK_64: Final = 0x7FFF_FFFF_FFFF_0000
"""If NVML and DCGM have no value, they return 64-bit numbers from here on."""
_BLANK_32: Final = 0xFFFF_FFFF
_WHOLE_GPU: Final = 0xFFFF_FFFF
_NOT_AN_INSTANCE: Final = -1

THROTTLE_REASONS: Final[Mapping[str, int]] = {
    "sw_power_cap": 0x4,
    "hw_slowdown": 0x8,
    "sync_boost": 0x10,
    "sw_thermal": 0x20,
    "hw_thermal": 0x40,
    "hw_power_brake": 0x80,
}
"""Bits of the clocks' event reasons. Idle clocks and clocks that a user chose are not
throttling."""


@dataclass(frozen=True, slots=True)
class _Field:
    """A value of the call that reads many fields."""

    name: str
    number: int
    factor: float = 1.0
    scope: int = 0


_FIELDS: Final = (
    _Field("gpu/memory_temperature_celsius", 82),
    _Field("gpu/energy_joules_total", 83, _MILLI),
    _Field("gpu/pcie_replays_total", 94),
    _Field("gpu/nvlink_transmit_bytes_total", 138, _KIB, _ALL_LINKS),
    _Field("gpu/nvlink_receive_bytes_total", 139, _KIB, _ALL_LINKS),
)


@dataclass(frozen=True, slots=True)
class MigInstance:
    """A part of a GPU in MIG mode, by its index in the GPU's list."""

    number: int
    uuid: str
    gpu_instance: int
    compute_instance: int
    values: Values


@dataclass(frozen=True, slots=True)
class Process:
    """A process on a GPU; ``gpu_instance`` is -1 if it uses the whole GPU."""

    pid: int
    memory_bytes: int
    gpu_instance: int = _NOT_AN_INSTANCE


@dataclass(frozen=True, slots=True)
class GpuSample:
    """The result of one reading of a GPU."""

    values: Values
    instances: tuple[MigInstance, ...]
    processes: tuple[Process, ...]


def sample_gpu(gpu: Gpu) -> GpuSample:
    """Read all values.

    Raises:
        GpuError: The device or its driver is gone.
    """
    values: Values = {}
    for name, probe in _PROBES:
        if name not in gpu.missing:
            values.update(_read(gpu, name, probe) or {})
    values.update(_fields(gpu))
    instances = () if "mig" in gpu.missing else _read(gpu, "mig", _instances) or ()
    processes = None if "processes" in gpu.missing else _read(gpu, "processes", _processes)
    if processes is not None:
        values["gpu/processes"] = float(len(processes))
    if not values:
        raise GpuError("the driver returned no value for it")
    return GpuSample(values, instances, processes or ())


def _read(gpu: Gpu, name: str, probe: Callable[[Gpu], Any]) -> Any:
    """Return the value of ``probe``, None if the device does not have it, or not now."""
    pynvml = gpu.nvml.library
    try:
        return probe(gpu)
    except pynvml.NVMLError as error:
        if error.value in gpu.nvml.never:
            gpu.missing.add(name)
            return None
        translated = gpu.nvml.translated(error)
        if isinstance(translated, GONE):
            raise translated from error
        return None  # It has no value now; the other values are still useful.


def _utilization(gpu: Gpu) -> Values:
    rates = gpu.nvml.library.nvmlDeviceGetUtilizationRates(gpu.handle)
    return {
        "gpu/utilization_ratio": rates.gpu * _PERCENT,
        "gpu/memory_utilization_ratio": rates.memory * _PERCENT,
    }


def _memory(gpu: Gpu) -> Values:
    return _memory_of(gpu, gpu.handle, "gpu")


def _memory_of(gpu: Gpu, handle: Any, kind: str) -> Values:
    """Return used and total; the second version excludes the driver's own memory."""
    pynvml = gpu.nvml.library
    try:
        found = pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)
    except pynvml.NVMLError as error:
        if error.value not in gpu.nvml.never:
            raise
        found = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return {
        f"{kind}/memory_used_bytes": float(found.used),
        f"{kind}/memory_total_bytes": float(found.total),
    }


def _power(gpu: Gpu) -> Values:
    return {
        "gpu/power_watts": gpu.nvml.library.nvmlDeviceGetPowerUsage(gpu.handle) * _MILLI,
    }


def _power_limit(gpu: Gpu) -> Values:
    limit = gpu.nvml.library.nvmlDeviceGetEnforcedPowerLimit(gpu.handle)
    return {"gpu/power_limit_watts": limit * _MILLI}


def _temperature(gpu: Gpu) -> Values:
    pynvml = gpu.nvml.library
    found = pynvml.nvmlDeviceGetTemperature(gpu.handle, pynvml.NVML_TEMPERATURE_GPU)
    return {"gpu/temperature_celsius": float(found)}


def _sm_clock(gpu: Gpu) -> Values:
    pynvml = gpu.nvml.library
    clock = pynvml.nvmlDeviceGetClockInfo(gpu.handle, pynvml.NVML_CLOCK_SM)
    return {"gpu/sm_clock_hertz": clock * _MEGA}


def _memory_clock(gpu: Gpu) -> Values:
    pynvml = gpu.nvml.library
    clock = pynvml.nvmlDeviceGetClockInfo(gpu.handle, pynvml.NVML_CLOCK_MEM)
    return {"gpu/memory_clock_hertz": clock * _MEGA}


def _throttle(gpu: Gpu) -> Values:
    # The name before driver 535; newer ones still have it.
    mask = gpu.nvml.library.nvmlDeviceGetCurrentClocksThrottleReasons(gpu.handle)
    return {
        f"gpu/throttle_{name}": float(bool(mask & bit)) for name, bit in THROTTLE_REASONS.items()
    }


def _fan(gpu: Gpu) -> Values:
    speed = gpu.nvml.library.nvmlDeviceGetFanSpeed(gpu.handle)
    return {"gpu/fan_ratio": speed * _PERCENT}


def _ecc_corrected(gpu: Gpu) -> Values:
    return {"gpu/ecc_corrected_errors_total": _ecc(gpu, "NVML_MEMORY_ERROR_TYPE_CORRECTED")}


def _ecc_uncorrected(gpu: Gpu) -> Values:
    return {"gpu/ecc_uncorrected_errors_total": _ecc(gpu, "NVML_MEMORY_ERROR_TYPE_UNCORRECTED")}


def _ecc(gpu: Gpu, kind: str) -> float:
    """Return errors since the driver was loaded."""
    pynvml = gpu.nvml.library
    count = pynvml.nvmlDeviceGetTotalEccErrors(
        gpu.handle, getattr(pynvml, kind), pynvml.NVML_VOLATILE_ECC
    )
    return float(count)


def _pcie_throughput(gpu: Gpu) -> Values:
    """Read both directions; each takes 20 ms.

    The fields 197 and 198 count bytes in 32 bits only. At 50 GB/s they overflow twelve times a
    second, so they give no rate. NVML calls the unit of a throughput KB: it is 1000 bytes. Both
    agreed on this for the same copies on an H100.
    """
    pynvml = gpu.nvml.library
    sent = pynvml.nvmlDeviceGetPcieThroughput(gpu.handle, pynvml.NVML_PCIE_UTIL_TX_BYTES)
    received = pynvml.nvmlDeviceGetPcieThroughput(gpu.handle, pynvml.NVML_PCIE_UTIL_RX_BYTES)
    return {
        "gpu/pcie_transmit_bytes_per_second": sent * _KB,
        "gpu/pcie_receive_bytes_per_second": received * _KB,
    }


_PROBES: Final[Sequence[tuple[str, Callable[[Gpu], Values]]]] = (
    ("utilization", _utilization),
    ("memory", _memory),
    ("power", _power),
    ("power limit", _power_limit),
    ("temperature", _temperature),
    ("sm clock", _sm_clock),
    ("memory clock", _memory_clock),
    ("throttle", _throttle),
    ("fan", _fan),
    ("ecc corrected", _ecc_corrected),
    ("ecc uncorrected", _ecc_uncorrected),
    ("pcie", _pcie_throughput),
)


def _fields(gpu: Gpu) -> Values:
    """Read all fields that the device may have with one call."""
    asked = [each for each in _FIELDS if each.name not in gpu.missing]
    if not asked:
        return {}
    pynvml = gpu.nvml.library

    def probe(of: Gpu) -> Any:
        numbers = [(each.number, each.scope) for each in asked]
        return pynvml.nvmlDeviceGetFieldValues(of.handle, numbers)

    answers = _read(gpu, "fields", probe)
    found: Values = {}
    for each, answer in zip(asked, answers or (), strict=False):
        if answer.nvmlReturn == pynvml.NVML_SUCCESS:
            value = _field_value(answer)
            if value is not None:
                found[each.name] = value * each.factor
        elif answer.nvmlReturn in gpu.nvml.never:
            gpu.missing.add(each.name)
    if "fields" in gpu.missing:
        gpu.missing.update(each.name for each in asked)
    return found


_VALUE_TYPES: Final = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")


def _field_value(answer: Any) -> float | None:
    kind = answer.valueType
    if not 0 <= kind < len(_VALUE_TYPES):
        return None
    value = getattr(answer.value, _VALUE_TYPES[kind])
    is_blank = value == _BLANK_32 if _VALUE_TYPES[kind] == "uiVal" else value >= _BLANK_64
    return None if is_blank else float(value)


def _instances(gpu: Gpu) -> tuple[MigInstance, ...]:
    """Return the instances of a GPU in MIG mode; read each time, because they can change."""
    pynvml = gpu.nvml.library
    if not pynvml.nvmlDeviceGetMigMode(gpu.handle)[0]:
        return ()
    found: list[MigInstance] = []
    for number in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(gpu.handle)):
        try:
            handle = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu.handle, number)
            instance = MigInstance(
                number,
                str(pynvml.nvmlDeviceGetUUID(handle)),
                pynvml.nvmlDeviceGetGpuInstanceId(handle),
                pynvml.nvmlDeviceGetComputeInstanceId(handle),
                _memory_of(gpu, handle, "mig"),
            )
        except pynvml.NVMLError as error:
            if isinstance(gpu.nvml.translated(error), GONE):
                raise
            continue  # This index is empty.
        found.append(instance)
    return tuple(found)


def _processes(gpu: Gpu) -> tuple[Process, ...]:
    """Return the processes that the driver shows; one with two contexts counts once."""
    pynvml = gpu.nvml.library
    found: dict[int, Process] = {}
    for ask in (
        pynvml.nvmlDeviceGetComputeRunningProcesses,
        pynvml.nvmlDeviceGetGraphicsRunningProcesses,
    ):
        for each in ask(gpu.handle):
            instance = getattr(each, "gpuInstanceId", _WHOLE_GPU)
            if instance in (None, _WHOLE_GPU):
                instance = _NOT_AN_INSTANCE
            found[each.pid] = Process(each.pid, each.usedGpuMemory or 0, instance)
    return tuple(found.values())
