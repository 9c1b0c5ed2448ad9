"""The border to NVML: opens the driver, names its GPUs, and converts its error codes to our errors.

Every call goes through ctypes, which releases the interpreter's lock, so a call that hangs stops
only its own thread. ``probes.py`` reads the values of a GPU.
"""

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final

from stepwell_daemon.samplers.gpus.errors import (
    DRIVER_GONE,
    DriverMissingError,
    DriverReplacedError,
    DriverRestartedError,
    GpuError,
    GpuLostError,
)

_NO_GPU_FOUND: Final = 28
"""NVML_ERROR_GPU_NOT_FOUND; older releases of nvidia-ml-py have no name for it."""


@dataclass(slots=True)
class Gpu:
    """One GPU of an open driver. Its calls are made from one thread at a time."""

    index: int
    uuid: str
    model: str
    pci_bus_id: str
    handle: Any
    nvml: "Nvml"
    missing: set[str] = field(default_factory=set)
    """Values that the GPU does not have."""

    @property
    def label(self) -> str:
        return f"gpu{self.index}"


class Nvml:
    """An initialised driver. ``close`` it before another is opened."""

    def __init__(self, library: ModuleType) -> None:
        self.library: Any = library
        self.never = frozenset(
            (
                library.NVML_ERROR_NOT_SUPPORTED,
                library.NVML_ERROR_NO_PERMISSION,
                library.NVML_ERROR_FUNCTION_NOT_FOUND,
                library.NVML_ERROR_INVALID_ARGUMENT,
                library.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
            )
        )
        self.driver_version = ""

    @classmethod
    def open(cls) -> "Nvml":
        """Initialise the driver.

        Raises:
            GpuError: There is no driver, or it does not work.
        """
        import pynvml  # 8,000 lines: loaded in the sampler's thread, and only if GPUs are sampled.

        made = cls(pynvml)
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise made.translated(error) from error
        try:
            made.driver_version = str(pynvml.nvmlSystemGetDriverVersion())
        except pynvml.NVMLError:
            made.driver_version = ""
        return made

    def close(self) -> None:
        """Close the driver; a driver that is gone already is no error."""
        try:
            self.library.nvmlShutdown()
        except self.library.NVMLError:
            return

    def devices(self) -> tuple[list[Gpu], list[int]]:
        """Return the GPUs by index, and the indices of those that cannot be opened.

        Raises:
            GpuError: The driver is gone.
        """
        found: list[Gpu] = []
        unreachable: list[int] = []
        pynvml = self.library
        try:
            count = pynvml.nvmlDeviceGetCount()
        except pynvml.NVMLError as error:
            raise self.translated(error) from error
        for index in range(count):
            try:
                found.append(self._device(index))
            except pynvml.NVMLError as error:
                if isinstance(self.translated(error), DRIVER_GONE):
                    raise self.translated(error) from error
                unreachable.append(index)
        return found, unreachable

    def _device(self, index: int) -> Gpu:
        pynvml = self.library
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        return Gpu(
            index=index,
            uuid=str(pynvml.nvmlDeviceGetUUID(handle)),
            model=str(pynvml.nvmlDeviceGetName(handle)),
            pci_bus_id=_text(pynvml.nvmlDeviceGetPciInfo(handle).busId),
            handle=handle,
            nvml=self,
        )

    def translated(self, error: Exception) -> GpuError:
        """Return one of our errors for ``error`` of NVML."""
        pynvml = self.library
        code = getattr(error, "value", None)
        if code in (
            pynvml.NVML_ERROR_LIBRARY_NOT_FOUND,
            pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
            _NO_GPU_FOUND,
        ):
            return DriverMissingError(str(error))
        if code == pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH:
            return DriverReplacedError(str(error))
        if code in (pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_RESET_REQUIRED):
            return GpuLostError(str(error))
        if code == pynvml.NVML_ERROR_UNINITIALIZED:
            return DriverRestartedError(str(error))
        return GpuError(str(error))


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
