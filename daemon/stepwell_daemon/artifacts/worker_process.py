"""A worker's process, as the daemon sees it: started when it is needed, ended when it is not."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from stepwell_daemon.blobs.line_worker import LineWorker

_SILENT_SECONDS: Final = 1800.0
"""A disk that hangs is not a reason to begin again; one that does so for half an hour may be."""
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
        """Return the worker's last word on a draft.

        Args:
            put: answers the worker where it wants bytes put elsewhere.

        Raises:
            WorkerEndedError: It ended instead.
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
        """Let the worker note what it hashed, and let go of held files; raises as `commit`."""
        await self._line.send({"clean": True})
        await self._line.receive(_SILENT_SECONDS)

    async def close(self) -> None:
        """End the process. Can be called twice."""
        await self._line.close()
