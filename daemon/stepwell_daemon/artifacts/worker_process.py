"""A worker's process, as the daemon sees it: started when it is needed, ended when it is not."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from stepwell_wire.interpreter import helper_command

_START_SECONDS: Final = 60.0
_SILENT_SECONDS: Final = 1800.0
"""A disk that hangs is not a reason to begin again; one that does so for half an hour may be."""
_ANSWER_BYTES_MAX: Final = 16 << 20

Put = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class WorkerEndedError(Exception):
    """The worker's process ended, or gave no answer; says how."""


class ArtifactWorker:
    """One worker at a time."""

    def __init__(self, *, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._process: asyncio.subprocess.Process | None = None

    async def commit(
        self, asked: dict[str, Any], *, put: Put, on_progress: Callable[[dict[str, int]], None]
    ) -> dict[str, Any]:
        """Return the worker's last word on a draft.

        Args:
            put: answers the worker where it wants bytes put elsewhere.

        Raises:
            WorkerEndedError: It ended instead.
        """
        await self._send({"commit": asked})
        while True:
            answer = await self._receive(_SILENT_SECONDS)
            if "progress" in answer:
                on_progress(answer["progress"])
            elif "put" in answer:
                await self._send(await put(answer["put"]))
            else:
                return answer

    async def clean(self) -> None:
        """Let the worker note what it hashed, and let go of held files; raises as `commit`."""
        await self._send({"clean": True})
        await self._receive(_SILENT_SECONDS)

    async def close(self) -> None:
        """End the process. Can be called twice."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _send(self, message: dict[str, Any]) -> None:
        try:
            process = await self._started()
            assert process.stdin is not None
            process.stdin.write(json.dumps(message).encode() + b"\n")
            await process.stdin.drain()
        except OSError as error:
            await self.close()
            raise WorkerEndedError(f"no worker can be started: {error}") from error
        except BaseException:
            await self.close()
            raise

    async def _receive(self, seconds: float) -> dict[str, Any]:
        process = self._process
        if process is None or process.stdout is None:
            raise WorkerEndedError("the worker is gone")
        try:
            async with asyncio.timeout(seconds):
                line = await process.stdout.readline()
            answer: dict[str, Any] = json.loads(line)
            return answer
        except TimeoutError as error:
            await self.close()
            raise WorkerEndedError(f"the worker said nothing for {seconds:.0f} s") from error
        except ValueError as error:
            code = None
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    code = await process.wait()
            await self.close()
            ended = f"signal {-code}" if code is not None and code < 0 else f"code {code}"
            raise WorkerEndedError(f"the worker ended with {ended}") from error
        except BaseException:
            await self.close()  # Its answer would be taken for the next draft's.
            raise

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *helper_command("stepwell_daemon.artifacts.worker"),
                f"--memory-bytes={self._memory_bytes}",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_ANSWER_BYTES_MAX,
            )
            await self._receive(_START_SECONDS)
        return self._process
