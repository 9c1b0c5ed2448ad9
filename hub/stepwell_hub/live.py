"""Live feeds: doorbells that say what changed, never the change itself.

A listener watches runs and metrics of one project, or the list of projects. Only
while there are listeners, the store is asked for these versions, at most every 200 ms. A change
that was not sent to a listener yet is kept by name, newest version only: a slow listener costs no
memory, and it misses steps but never the newest state.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from stepwell_hub.errors import ApiError
from stepwell_hub.subscription import Interest, Look, Subscription
from stepwell_store.errors import StoreError

logger = logging.getLogger("stepwell_hub")

POLL_SECONDS: Final = 0.2
REST_SECONDS_MAX: Final = 5.0
BEAT_SECONDS: Final = 15.0
KEPT_SECONDS: Final = 60.0
"""A listener that reconnects within so long gets only the changes since."""
_KEPT_MAX: Final = 1024
_REST_FACTOR: Final = 4.0
"""After a long poll, wait so many times as long: polls take at most a fifth of the time."""


LookAt = Callable[[Interest], Awaitable[Look]]


class Feeds:
    """All listeners of a hub, and one poll for each project that has some."""

    def __init__(
        self,
        look_at: LookAt,
        *,
        listeners_max: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._look_at = look_at
        self._listeners_max = listeners_max
        self._clock = clock
        self._sleep = sleep
        self._listening: dict[str, Subscription] = {}
        self._left: dict[str, Subscription] = {}
        self._polls: dict[str | None, asyncio.Task[None]] = {}
        self._stopped = False

    @property
    def listener_count(self) -> int:
        return len(self._listening)

    def stop(self) -> None:
        """End every listener's stream; can be called twice."""
        self._stopped = True
        for each in self._listening.values():
            each.is_over = True
            each.rung.set()
        for task in self._polls.values():
            task.cancel()

    def change(self, subscription_id: str, interest_of: Callable[[str | None], Interest]) -> None:
        """Let a listener watch other runs or metrics of its project.

        Raises:
            ApiError: There is no such listener.
        """
        found = self._listening.get(subscription_id)
        if found is None:
            raise ApiError(404, "not_found", "subscription not found; connect to the feed again")
        found.interest = interest_of(found.interest.project)

    @contextmanager
    def listening(self, interest: Interest, *, last_event_id: str = "") -> Iterator[Subscription]:
        """Be a listener inside the block.

        A listener that reconnects and names no interest gets its former one.

        Raises:
            ApiError: There are too many, or the hub is ending.
        """
        if self._stopped or len(self._listening) >= self._listeners_max:
            raise ApiError(
                503, "busy", "too many live connections; close some pages, or raise listeners_max"
            )
        subscription = self._resumed(interest, last_event_id)
        self._listening[subscription.id] = subscription
        subscription.rung.set()
        self._ensure_poll(subscription.interest.project)
        try:
            yield subscription
        finally:
            del self._listening[subscription.id]
            self._keep(subscription)

    def _resumed(self, interest: Interest, last_event_id: str) -> Subscription:
        name, _, count = last_event_id.rpartition("-")
        kept = self._left.pop(name, None)
        if kept is None or kept.interest.project != interest.project:
            return Subscription(secrets.token_urlsafe(9).replace("-", "_"), interest)
        if count != str(kept.sent_count):
            kept.resend_all()  # Some events did not arrive.
        if interest.runs or interest.metrics or interest.media:
            kept.interest = interest
        return kept

    def _keep(self, subscription: Subscription) -> None:
        now = self._clock()
        self._left = {
            name: each for name, each in self._left.items() if now - each.left_at < KEPT_SECONDS
        }
        if len(self._left) < _KEPT_MAX:
            subscription.left_at = now
            self._left[subscription.id] = subscription

    # ------------------------------------------------------------------ polls

    def _ensure_poll(self, project: str | None) -> None:
        task = self._polls.get(project)
        if task is None or task.done():
            self._polls[project] = asyncio.create_task(self._poll(project), name="live-poll")

    def _listeners(self, project: str | None) -> list[Subscription]:
        return [each for each in self._listening.values() if each.interest.project == project]

    async def _poll(self, project: str | None) -> None:
        try:
            while listeners := self._listeners(project):
                began = self._clock()
                await self._look_once(project, listeners)
                took = self._clock() - began
                await self._sleep(min(REST_SECONDS_MAX, max(POLL_SECONDS, _REST_FACTOR * took)))
        finally:
            if self._polls.get(project) is asyncio.current_task():
                del self._polls[project]

    async def _look_once(self, project: str | None, listeners: list[Subscription]) -> None:
        interest = Interest(
            project,
            frozenset().union(*(each.interest.runs for each in listeners)),
            frozenset().union(*(each.interest.metrics for each in listeners)),
            any(each.interest.media for each in listeners),
        )
        try:
            look = await self._look_at(interest)
        except (StoreError, ApiError) as error:
            logger.debug("polling for a live feed failed project=%s: %s", project, error)
            return  # The store is unavailable or busy: ask again later.
        except Exception:
            logger.exception("polling for a live feed failed project=%s", project)
            return  # An error would end the poll: no more events for its listeners.
        for each in listeners:
            each.note(look)


async def events_of(subscription: Subscription) -> AsyncIterator[bytes]:
    """Yield the lines of a listener's stream until it is over."""

    def line(event: str, data: Mapping[str, Any], *, is_last: bool = True) -> bytes:
        text = msgspec.json.encode(data)
        number = f"id: {subscription.id}-{subscription.sent_count}\n".encode() if is_last else b""
        return number + b"event: " + event.encode() + b"\ndata: " + text + b"\n\n"

    yield b"retry: 1000\n\n"
    yield line("hello", {"subscription": subscription.id})
    while not subscription.is_over:
        try:
            async with asyncio.timeout(BEAT_SECONDS):
                await subscription.rung.wait()
        except TimeoutError:
            yield b":\n\n"
            continue
        events = subscription.take()
        if events:
            # One id for all events of the block: a client that got only some asks for all again.
            last = len(events) - 1
            yield b"".join(
                line(event, data, is_last=at == last) for at, (event, data) in enumerate(events)
            )
            await asyncio.sleep(POLL_SECONDS)
