"""/healthz and /readyz: for service managers and load balancers, which have no key.

    GET /healthz    200 while the event loop runs
    GET /readyz     200 while the store answers, else 503 and one word for each part that does not

Without the catalog the page shows runs and charts; reports, sweeps, artifacts and new logins fail.
The hub is ready then and says so: a load balancer that removed it would remove the charts as well.

Both paths accept every Host name and every address: a kubelet asks by the pod's address and is not
the proxy. So the answers contain no other facts, and the store is asked at most every five seconds,
however often the paths are called.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Final

from starlette.responses import PlainTextResponse, Response

HEALTH: Final = "/healthz"
READY: Final = "/readyz"
PATHS: Final = (HEALTH, READY)
_KEPT_SECONDS: Final = 5.0
_CHECK_SECONDS: Final = 3.0

Check = Callable[[], Awaitable[bool]]


class Health:
    """Answers both paths, from checks whose result is kept for five seconds."""

    def __init__(
        self,
        checks: dict[str, Check],
        *,
        dispensable: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
        check_seconds: float = _CHECK_SECONDS,
    ) -> None:
        """
        Args:
            checks: by the word that the answer has if the check returns False.
            dispensable: words of checks without which the hub is ready, but degraded.
            check_seconds: a check that takes longer counts as failed.
        """
        self._dispensable = dispensable
        self._checks = checks
        self._clock = clock
        self._check_seconds = check_seconds
        self._lock = asyncio.Lock()
        self._failed: list[str] = []
        self._checked_at: float | None = None

    async def answer(self, path: str, method: str) -> Response:
        """Return the answer to a request for one of ``PATHS``."""
        if method not in ("GET", "HEAD"):
            return _text("GET and HEAD only", 405)
        if path == HEALTH:
            return _text("alive", 200)
        failed = await self._look()
        if not failed:
            return _text("ready", 200)
        if all(name in self._dispensable for name in failed):
            return _text(f"ready, degraded: {', '.join(failed)} does not answer", 200)
        return _text(f"not ready: {', '.join(failed)} does not answer", 503)

    async def _look(self) -> list[str]:
        async with self._lock:  # Callers that come meanwhile share one check.
            now = self._clock()
            if self._checked_at is None or now - self._checked_at >= _KEPT_SECONDS:
                self._failed = [
                    name for name, check in self._checks.items() if not await self._passes(check)
                ]
                self._checked_at = now
            return self._failed

    async def _passes(self, check: Check) -> bool:
        try:
            async with asyncio.timeout(self._check_seconds):
                return await check()
        except TimeoutError:
            return False


def _text(words: str, status: int) -> Response:
    return PlainTextResponse(f"{words}\n", status, headers={"Cache-Control": "no-store"})
