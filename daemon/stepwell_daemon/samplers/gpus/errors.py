"""What NVML's error codes come to."""


class GpuError(Exception):
    """A GPU or its driver cannot be read now."""


class DriverMissingError(GpuError):
    """There is no NVIDIA driver here, or it is not loaded: normal on a node without GPUs."""


class DriverReplacedError(GpuError):
    """The driver on disk is another than the one that runs, or than the one this process loaded."""


class DriverRestartedError(GpuError):
    """The driver no longer knows this process: it has to be opened again."""


class GpuLostError(GpuError):
    """The device has fallen off the bus, or needs a reset."""


DRIVER_GONE = (DriverMissingError, DriverReplacedError, DriverRestartedError)
GONE = (*DRIVER_GONE, GpuLostError)
