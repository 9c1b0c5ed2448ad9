"""The daemon's side of a worker process: started on demand, ended when it hangs."""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stepwell_daemon.blobs.line_worker import (
    LineWorker,
    WorkerEndedError,
    WorkerNotStartedError,
    WorkerSilentError,
)

logger = logging.getLogger("stepwell_daemon")

_ATTEMPTS_MAX: Final = 2
"""A blob that ends its worker this many times is not tried again."""
_KILLS_MAX: Final = 5
"""As above, if SIGKILL ended the worker. The cause is seldom the blob: where a node has no memory
left, the kernel kills processes."""
_PAUSE_SECONDS: Final = 0.2
"""After the first kill; twice as long after each further one."""

_ANSWER_BYTES_MAX: Final = 1 << 16


class MakeFailedError(Exception):
    """No output, for a temporary reason such as a full disk."""


@dataclass(frozen=True, slots=True)
class Result:
    """The output of a worker for a blob.

    Attributes:
        reason: why there can never be an output; "" if there is one.
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
            memory_bytes: limit of the process's address space.
            seconds: processor time for one blob.
        """
        self._seconds = seconds
        self._line = LineWorker(
            "stepwell_daemon.blobs.worker",
            memory_bytes=memory_bytes,
            answer_bytes_max=_ANSWER_BYTES_MAX,
        )

    @property
    def pid(self) -> int | None:
        """The process for the next request, None if one has to be started."""
        return self._line.pid

    async def make(self, source: Path, target: Path) -> Result:
        """Convert the staged file ``source`` into ``target``; return the facts of the output.

        Raises:
            MakeFailedError: Not possible now.
        """
        attempts = kills = 0
        while True:
            attempts += 1
            try:
                await self._line.send({"source": str(source), "target": str(target)})
                answer = await self._line.receive(self._seconds)
            except WorkerNotStartedError as error:
                raise MakeFailedError(str(error)) from error
            except WorkerSilentError:
                ended = (
                    f"the worker took more than {self._seconds:g} s of processor time, or hung "
                    "(blob_seconds)"
                )
            except WorkerEndedError as error:
                ended = str(error)
                kills += error.was_killed
            else:
                return _result_of(answer)
            logger.warning("a worker ended blob=%s: %s", source.name, ended)
            if attempts - kills >= _ATTEMPTS_MAX or kills >= _KILLS_MAX:
                return Result(reason=f"{ended} ({attempts} attempts)")
            if kills:
                await asyncio.sleep(_PAUSE_SECONDS * 2 ** (kills - 1))

    async def close(self) -> None:
        """End the process. Can be called twice."""
        await self._line.close()


def _result_of(answer: dict[str, Any]) -> Result:
    if "failed" in answer:
        raise MakeFailedError(str(answer["failed"]))
    if "unusable" in answer:
        return Result(reason=str(answer["unusable"])[:1000])
    return Result(**answer)
