"""Our errors for NVML's error codes."""


class GpuError(Exception):
    """A GPU or its driver cannot be read now."""


class DriverMissingError(GpuError):
    """This node has no NVIDIA driver, or it is not loaded: normal on a node without GPUs."""


class DriverReplacedError(GpuError):
    """The driver on disk differs from the running one, or from the one that this process loaded."""


class DriverRestartedError(GpuError):
    """The driver no longer knows this process: it must be opened again."""


class GpuLostError(GpuError):
    """The device has fallen off the bus, or needs a reset."""


DRIVER_GONE = (DriverMissingError, DriverReplacedError, DriverRestartedError)
GONE = (*DRIVER_GONE, GpuLostError)
