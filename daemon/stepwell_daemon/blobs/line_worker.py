"""A child process that answers questions: one JSON object a line, both ways."""

import asyncio
import json
import signal
from contextlib import suppress
from typing import Any, Final

import psutil

from stepwell_wire.installation import install_command
from stepwell_wire.interpreter import helper_command

_START_SECONDS: Final = 60.0
_END_SECONDS: Final = 1.0
"""Time for a process that closed its end to exit, so that its exit code can be reported."""

_SHARE_MIN: Final = 0.01
"""Part of the time that a worker's processor time must be, else it hangs."""


class WorkerEndedError(Exception):
    """The process gave no answer and has ended; the text says how.

    Attributes:
        was_killed: by SIGKILL, as the kernel does where a node has no memory left.
    """

    was_killed = False


class WorkerSilentError(WorkerEndedError):
    """The process took too long."""


class WorkerNotStartedError(WorkerEndedError):
    """The process could not be started."""


class _Patience:
    """How long a worker may be silent; see `LineWorker.receive`."""

    def __init__(self, pid: int, seconds: float) -> None:
        self.seconds, self._pid = seconds, pid
        self._start = self._used = self._read()

    def is_at_work(self) -> bool:
        """Return whether the process has used some of its processor time since the last call."""
        before, self._used = self._used, self._read()
        share = (self._used - before) / self.seconds
        return share >= _SHARE_MIN and self._used - self._start < self.seconds

    def _read(self) -> float:
        try:
            times = psutil.Process(self._pid).cpu_times()
        except psutil.Error:
            return 0.0
        return float(times.user + times.system)


async def _line(stream: asyncio.StreamReader, patience: _Patience) -> bytes:
    while True:
        try:
            async with asyncio.timeout(patience.seconds):
                return await stream.readline()
        except TimeoutError:
            if not patience.is_at_work():
                raise


class LineWorker:
    """One process at a time: started by the first message, and again after it ended."""

    def __init__(self, module: str, *, memory_bytes: int, answer_bytes_max: int) -> None:
        """
        Args:
            module: the module to run; it writes one line when it is ready.
            memory_bytes: limit of the process's address space.
            answer_bytes_max: a longer line is an invalid answer.
        """
        self._module, self._memory_bytes = module, memory_bytes
        self._answer_bytes_max = answer_bytes_max
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process, None if none runs."""
        return self._process.pid if self._process is not None else None

    async def send(self, message: dict[str, Any]) -> None:
        """Send ``message``.

        Raises:
            WorkerNotStartedError: No process can be started.
            WorkerEndedError: It has ended.
        """
        process = await self._started()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(message).encode() + b"\n")
            await process.stdin.drain()
        except ConnectionError as error:
            raise await self._end(process) from error
        except BaseException:
            await self.close()
            raise

    async def receive(self, seconds: float) -> dict[str, Any]:
        """Return the next answer.

        A worker at work has ``seconds`` of processor time: on a busy node its low priority gives
        it a small part of the time. It ends if it used almost none within ``seconds``.

        Raises:
            WorkerSilentError: No answer came in this time.
            WorkerEndedError: The process has ended.
        """
        process = self._process
        if process is None or process.stdout is None:
            raise WorkerEndedError("the worker ended")
        try:
            line = await _line(process.stdout, _Patience(process.pid, seconds))
            if line.endswith(b"\n"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        except TimeoutError as error:
            await self.close()
            raise WorkerSilentError(f"the worker did not answer within {seconds:g} s") from error
        except ValueError as error:  # The line is too long, or not JSON.
            await self.close()
            raise WorkerEndedError(f"the worker gave an invalid answer ({error})") from error
        except BaseException:
            # Otherwise its answer would be read as the answer to the next request.
            await self.close()
            raise
        raise await self._end(process)

    async def close(self) -> None:
        """End the process. Can be called twice."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _end(self, process: asyncio.subprocess.Process) -> WorkerEndedError:
        """Return how a process that closed its pipes ended; kill it if it still runs."""
        code = None
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_END_SECONDS):
                    code = await process.wait()
        finally:
            await self.close()
        if code is None:
            return WorkerEndedError("the worker closed its pipes")
        ended = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        error = WorkerEndedError(f"the worker {ended}")
        error.was_killed = code == -signal.SIGKILL
        return error

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        try:
            self._process = await asyncio.create_subprocess_exec(
                *helper_command(self._module),
                f"--memory-bytes={self._memory_bytes}",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=self._answer_bytes_max,
            )
        except OSError as error:
            raise WorkerNotStartedError(f"starting a worker failed: {error}") from error
        process = self._process
        try:
            await self.receive(_START_SECONDS)
        except WorkerEndedError as error:
            raise WorkerNotStartedError(
                f"starting a worker failed: {error}; see the daemon's log. "
                f"`{install_command('daemon')}` installs the required packages"
            ) from error
        return process
