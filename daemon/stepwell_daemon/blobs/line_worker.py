"""A child process that answers questions: one JSON object a line, both ways."""

import asyncio
import json
from contextlib import suppress
from typing import Any, Final

from stepwell_wire.interpreter import helper_command

_START_SECONDS: Final = 60.0
_END_SECONDS: Final = 1.0
"""Who closed its end has so long to end, so that its code can be told."""


class WorkerEndedError(Exception):
    """The process gave no answer; it is gone now, and the text says how."""


class WorkerSilentError(WorkerEndedError):
    """The process took too long."""


class WorkerNotStartedError(WorkerEndedError):
    """There is no process that could be asked."""


class LineWorker:
    """One process at a time: started when something is sent, and again after it ended."""

    def __init__(self, module: str, *, memory_bytes: int, answer_bytes_max: int) -> None:
        """
        Args:
            module: what runs; it says one line when it can work.
            memory_bytes: the process may have so much address space.
            answer_bytes_max: a longer line is no answer.
        """
        self._module, self._memory_bytes = module, memory_bytes
        self._answer_bytes_max = answer_bytes_max
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process, None where there is none."""
        return self._process.pid if self._process is not None else None

    async def send(self, message: dict[str, Any]) -> None:
        """Send ``message``.

        Raises:
            WorkerNotStartedError: No process can be started.
            WorkerEndedError: It ended before.
        """
        process = await self._started()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(message).encode() + b"\n")
            await process.stdin.drain()
        except ConnectionError as error:
            raise WorkerEndedError(await self._end(process)) from error
        except BaseException:
            await self.close()
            raise

    async def receive(self, seconds: float) -> dict[str, Any]:
        """Return the next answer.

        Raises:
            WorkerSilentError: None came within ``seconds``.
            WorkerEndedError: None will come.
        """
        process = self._process
        if process is None or process.stdout is None:
            raise WorkerEndedError("the worker is gone")
        try:
            async with asyncio.timeout(seconds):
                line = await process.stdout.readline()
            if line.endswith(b"\n"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        except TimeoutError as error:
            await self.close()
            raise WorkerSilentError(f"the worker said nothing for {seconds:g} s") from error
        except ValueError as error:  # Too long a line, or no JSON.
            await self.close()
            raise WorkerEndedError(
                f"the worker gave no answer that can be read ({error})"
            ) from error
        except BaseException:
            await self.close()  # Its answer would be taken for that to the next question.
            raise
        raise WorkerEndedError(await self._end(process))

    async def close(self) -> None:
        """End the process. Can be called twice."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _end(self, process: asyncio.subprocess.Process) -> str:
        """Return how a process ended that closed its pipes, and end it if it has not."""
        code = None
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_END_SECONDS):
                    code = await process.wait()
        finally:
            await self.close()
        if code is None:
            return "the worker closed its pipes"
        ended = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        return f"the worker {ended}"

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
            raise WorkerNotStartedError(f"no worker can be started: {error}") from error
        process = self._process
        try:
            await self.receive(_START_SECONDS)
        except WorkerEndedError as error:
            raise WorkerNotStartedError(
                f"a worker cannot start: {error}; the daemon's log says why. Is all there that it "
                "needs? pip install 'stepwell[daemon]'"
            ) from error
        return process
