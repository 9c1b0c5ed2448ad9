"""The thread of one GPU: it makes one call at a time, and its callers wait with a deadline.

A call that exceeds its deadline continues in its thread. Its answer is discarded, and the device
gets no other call before it returns. So a driver that hangs holds at most one thread for each
device.
"""

import threading
import time
from queue import Empty, SimpleQueue
from typing import Final

from stepwell_daemon.samplers.gpus.errors import GpuError
from stepwell_daemon.samplers.gpus.nvml import Gpu
from stepwell_daemon.samplers.gpus.probes import GpuSample, sample_gpu

_END: Final = None


class GpuWorker:
    """Samples one GPU. Used from one thread, the sampler's.

    Attributes:
        hung_since: monotonic start of the call that exceeded its deadline; None: no call hangs.
    """

    def __init__(self, gpu: Gpu) -> None:
        self.gpu = gpu
        self.hung_since: float | None = None
        self._began = 0.0
        self._asked: SimpleQueue[bool | None] = SimpleQueue()
        self._answers: SimpleQueue[GpuSample | GpuError] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def ask(self) -> bool:
        """Begin a call; False while an earlier one hangs.

        Raises:
            RuntimeError: The system has no thread left.
        """
        if self.hung_since is not None:
            try:
                self._answers.get_nowait()
            except Empty:
                return False
            self.hung_since = None
        if self._thread is None:
            name = f"sample-{self.gpu.label}"
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._thread.start()
        self._began = time.monotonic()
        self._asked.put(True)
        return True

    def answer(self, deadline: float) -> GpuSample | None:
        """Wait for the answer until ``deadline``, a monotonic moment; None if it comes later.

        Raises:
            GpuError: The device cannot be read.
        """
        try:
            answer = self._answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            self.hung_since = self._began
            return None
        if isinstance(answer, GpuError):
            raise answer
        return answer

    @property
    def is_stuck(self) -> bool:
        """Whether a call that exceeded its deadline still holds the thread."""
        return self.hung_since is not None and self._answers.empty()

    def close(self) -> None:
        """Let the thread end after its call; does not wait."""
        self._asked.put(_END)

    def _run(self) -> None:
        while self._asked.get() is not _END:
            try:
                self._answers.put(sample_gpu(self.gpu))
            except GpuError as error:
                self._answers.put(error)
            except BaseException as error:  # A driver's library may raise any exception.
                self._answers.put(GpuError(f"{type(error).__name__}: {error}"))
