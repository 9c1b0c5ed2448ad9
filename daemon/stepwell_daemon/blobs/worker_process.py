"""A worker's process, as the daemon sees it: started when it is needed, ended when it hangs."""

import asyncio
import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stepwell_wire.interpreter import helper_command

logger = logging.getLogger("stepwell_daemon")

_ATTEMPTS_MAX: Final = 2
"""A blob that ends its worker so often is not tried again."""

_START_SECONDS: Final = 60.0
_ANSWER_BYTES_MAX: Final = 1 << 16


class MakeFailedError(Exception):
    """Nothing was made for a reason that passes, such as a full disk."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a worker made of a blob.

    Attributes:
        reason: why it never makes anything of it; "" where it did.
    """

    digest: str = ""
    size: int = 0
    media_type: str = ""
    width: int = 0
    height: int = 0
    reason: str = ""


class WorkerProcess:
    """One worker at a time."""

    def __init__(self, *, memory_bytes: int, seconds: float) -> None:
        """
        Args:
            memory_bytes: the process may have so much address space.
            seconds: one blob may take so long.
        """
        self._memory_bytes, self._seconds = memory_bytes, seconds
        self._process: asyncio.subprocess.Process | None = None

    async def make(self, source: Path, target: Path) -> Result:
        """Return what of the staged file ``source`` was made at ``target``.

        Raises:
            MakeFailedError: Not now.
        """
        ended = ""
        for _ in range(_ATTEMPTS_MAX):
            try:
                answer = await self._ask(source, target)
            except OSError as error:
                await self.close()
                raise MakeFailedError(f"no worker can be started: {error}") from error
            except MakeFailedError:
                await self.close()
                raise
            if isinstance(answer, str):
                ended = answer
                logger.warning("a worker ended blob=%s: %s", source.name, ended)
                continue
            if "failed" in answer:
                raise MakeFailedError(str(answer["failed"]))
            if "unusable" in answer:
                return Result(reason=str(answer["unusable"])[:1000])
            return Result(**answer)
        return Result(reason=f"the worker {ended}, {_ATTEMPTS_MAX} times")

    async def close(self) -> None:
        """End the process. Can be called twice."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _ask(self, source: Path, target: Path) -> dict[str, Any] | str:
        """Return the worker's answer, or how it ended instead."""
        process = await self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        asked = json.dumps({"source": str(source), "target": str(target)}) + "\n"
        try:
            async with asyncio.timeout(self._seconds):
                process.stdin.write(asked.encode())
                await process.stdin.drain()
                line = await process.stdout.readline()
                if line.endswith(b"\n"):
                    answer: dict[str, Any] = json.loads(line)
                    return answer
                code = await process.wait()
        except TimeoutError:
            await self.close()
            return f"took more than {self._seconds:g} s (blob_seconds)"
        except ConnectionError:
            code = await process.wait()
        except ValueError as error:  # Too long a line, or no JSON.
            await self.close()
            return f"gave no answer that can be read ({error})"
        except BaseException:
            await self.close()  # Its answer would be taken for the next blob's.
            raise
        self._process = None
        return f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *helper_command("stepwell_daemon.blobs.worker"),
                f"--memory-bytes={self._memory_bytes}",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_ANSWER_BYTES_MAX,
            )
            await self._wait_until_ready(self._process)
        return self._process

    async def _wait_until_ready(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        try:
            async with asyncio.timeout(_START_SECONDS):
                line = await process.stdout.readline()
        except TimeoutError:
            line = b""
        if not line.endswith(b"\n"):
            raise MakeFailedError(
                "a worker cannot start; the daemon's log says why. Is Pillow there? "
                "pip install 'stepwell[daemon]'"
            )
