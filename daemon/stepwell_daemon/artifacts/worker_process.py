"""The daemon's side of a worker process: started on demand, ended when idle."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from stepwell_daemon.blobs.line_worker import LineWorker

_SILENT_SECONDS: Final = 1800.0
"""A hanging disk is no reason to start again; a disk that hangs for half an hour may be."""
_ANSWER_BYTES_MAX: Final = 16 << 20

Put = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class ArtifactWorker:
    """One worker at a time."""

    def __init__(self, *, memory_bytes: int) -> None:
        self._line = LineWorker(
            "stepwell_daemon.artifacts.worker",
            memory_bytes=memory_bytes,
            answer_bytes_max=_ANSWER_BYTES_MAX,
        )

    async def commit(
        self, asked: dict[str, Any], *, put: Put, on_progress: Callable[[dict[str, int]], None]
    ) -> dict[str, Any]:
        """Return the worker's final answer for a draft.

        Args:
            put: answers requests of the worker to send bytes elsewhere.

        Raises:
            WorkerEndedError: The worker ended without an answer.
        """
        await self._line.send({"commit": asked})
        while True:
            answer = await self._line.receive(_SILENT_SECONDS)
            if "progress" in answer:
                on_progress(answer["progress"])
            elif "put" in answer:
                await self._line.send(await put(answer["put"]))
            else:
                return answer

    async def clean(self) -> None:
        """Let the worker note its digests and remove held files; raises as `commit`."""
        await self._line.send({"clean": True})
        await self._line.receive(_SILENT_SECONDS)

    async def close(self) -> None:
        """End the process. Can be called twice."""
        await self._line.close()
