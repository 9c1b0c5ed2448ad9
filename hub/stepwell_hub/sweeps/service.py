"""Sweeps of a hub: the work of its API, with the watch over trials and the search by model."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from stepwell_hub.asking import Asker
from stepwell_hub.catalog.door import CatalogDoor
from stepwell_hub.errors import ApiError, SweepNotFoundError
from stepwell_hub.sweeps.answers import (
    LEASE_SECONDS,
    AgentKind,
    Beat,
    Ended,
    EndState,
    Order,
    Registered,
)
from stepwell_hub.sweeps.bayes import BayesSearch
from stepwell_hub.sweeps.control import Control
from stepwell_hub.sweeps.importance_of import SweepImportance
from stepwell_hub.sweeps.watch import Watch
from stepwell_store import StoreError

if TYPE_CHECKING:
    from stepwell_hub.catalog.asks import Ask, Suggestion, Wanted

_MODELS_MAX: Final = 16
_MODEL_TRIES: Final = 20
_AWAITED_SECONDS: Final = 1
_READ_SECONDS_MAX: Final = 5.0


class Sweeps:
    """The parts together. SQLAlchemy and numpy are loaded at their first use."""

    def __init__(
        self,
        catalog: CatalogDoor,
        asker: Asker,
        *,
        is_shared: bool,
        lease_seconds: float = LEASE_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            is_shared: other hubs may use the catalog.
            lease_seconds: an agent that is silent for so long loses its trial.
            clock: seconds since 1970 UTC.
        """
        self._catalog = catalog
        self.clock = clock
        self.lease_seconds = lease_seconds
        self._started_at = clock()
        self.control = Control(catalog, is_shared=is_shared)
        self.watch = Watch(
            catalog,
            asker,
            on_commands=self.control.ring,
            expired_at=self.expired_at,
            clock=clock,
        )
        self.importance = SweepImportance(catalog)
        self._models: OrderedDict[str, BayesSearch] = OrderedDict()
        self._turns: dict[str, asyncio.Lock] = {}
        self._asks: dict[str, list[tuple[Ask, asyncio.Future[Order | Wanted]]]] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="search")

    def stop(self) -> None:
        """Answer all waiting requests."""
        self.control.stop()

    async def close(self) -> None:
        """Can be called twice."""
        self.stop()
        await self.watch.close()
        self._thread.shutdown(wait=False, cancel_futures=True)
        self.importance.close()

    def expired_at(self) -> float:
        """Return the moment before which leases are over.

        While the hub was down, agents could not renew their leases: they get extra time for it.
        """
        now = self.clock()
        return now if now - self._started_at > self.lease_seconds else 0.0

    def alive_at(self) -> float:
        """Return the moment since which a living agent must have sent a request."""
        return self.clock() - self.lease_seconds

    async def try_to(self, read: Awaitable[bool]) -> bool:
        """Return the result of a read of the store; False if it fails or takes long.

        The catalog then has the values that were known before.
        """
        try:
            async with asyncio.timeout(_READ_SECONDS_MAX):
                return await read
        except (StoreError, ApiError, TimeoutError):
            return False

    async def register(
        self, sweep_id: str, *, key: str, host: str, pid: int, kind: AgentKind
    ) -> Registered:
        """Note an agent; see `catalog.sweeps.register`."""
        from stepwell_hub.catalog import sweeps

        registering = partial(
            sweeps.register,
            sweep_id=sweep_id,
            key=key,
            host=host,
            pid=pid,
            kind=kind,
            now=self.clock(),
            lease_seconds=self.lease_seconds,
        )
        return await self._catalog.do(registering)

    async def ask(self, sweep_id: str, *, agent_id: str, key: str) -> Order:
        """Return the order for the agent; see `catalog.asks.ask`."""
        from stepwell_hub.catalog.asks import Ask

        async def once(suggestion: "Suggestion | None" = None) -> "Order | Wanted":
            return await self._together(sweep_id, Ask(agent_id, key, suggestion))

        self.watch.wake()
        given = await once()
        if isinstance(given, Order):
            self._ring_after(given)
            return given
        turn = self._turns.setdefault(sweep_id, asyncio.Lock())
        async with turn:
            given = await self._by_model(sweep_id, once)
        self._ring_after(given)
        return given

    async def _together(self, sweep_id: str, ask: "Ask") -> "Order | Wanted":
        """Ask the catalog, together with all other waiting requests."""
        answer: asyncio.Future[Order | Wanted] = asyncio.get_running_loop().create_future()
        self._asks.setdefault(sweep_id, []).append((ask, answer))
        if sweep_id not in self._asking:
            self._asking[sweep_id] = asyncio.create_task(self._ask_all(sweep_id), name="asks")
        return await answer

    async def _ask_all(self, sweep_id: str) -> None:
        """Ask for all waiting requests, until none is left."""
        from stepwell_hub.catalog import asks

        try:
            while waiting := self._asks.pop(sweep_id, []):
                asking = partial(
                    asks.ask,
                    sweep_id=sweep_id,
                    asks=[ask for ask, _ in waiting],
                    now=self.clock(),
                    expired_at=self.expired_at(),
                    lease_seconds=self.lease_seconds,
                )
                found: Sequence[asks.Asked]
                try:
                    found = await self._catalog.do(asking)
                except asyncio.CancelledError:
                    for _, answer in waiting:
                        answer.cancel()
                    raise
                except Exception as error:  # Each request reports it, also a bug in the hub.
                    for _, answer in waiting:
                        if not answer.done():
                            answer.set_exception(error)
                    continue
                for (_, answer), each in zip(waiting, found, strict=True):
                    if answer.done():
                        continue  # Its client has left.
                    if isinstance(each, SweepNotFoundError):
                        answer.set_exception(each)
                    else:
                        answer.set_result(each)
        finally:
            del self._asking[sweep_id]

    async def _by_model(self, sweep_id: str, once: Callable[..., Any]) -> Order:
        """Ask with suggestions until one still has the next trial's number when it is ready."""
        from stepwell_hub.catalog.asks import Suggestion

        suggestion: Suggestion | None = None
        is_looked = False
        await self.try_to(self.watch.check_runs(sweep_id))
        for _ in range(_MODEL_TRIES):
            given: Order | Wanted = await once(suggestion)
            if isinstance(given, Order):
                return given
            if given.awaited and not is_looked:
                is_looked = True
                await self.try_to(self.watch.look(sweep_id))
                continue
            if given.awaited:
                return Order(
                    "wait",
                    seconds=_AWAITED_SECONDS,
                    reason="waiting for the values of the last trial",
                )
            params = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._suggest, sweep_id, given
            )
            suggestion = Suggestion(given.number, params)
        return Order("wait", seconds=_AWAITED_SECONDS, reason="other hubs start trials too")

    def _suggest(self, sweep_id: str, wanted: "Wanted") -> dict[str, Any]:
        model = self._models.get(sweep_id)
        if model is None or model.config is not wanted.config:
            model = self._models[sweep_id] = BayesSearch(wanted.config, wanted.seed)
        self._models.move_to_end(sweep_id)
        while len(self._models) > _MODELS_MAX:
            self._models.popitem(last=False)
        return model.suggest(wanted.seen, wanted.number)

    def _ring_after(self, order: Order) -> None:
        if order.trial is not None and order.trial.fencing > 1:
            self.control.ring()  # The run of the previous attempt must stop.

    async def beat(
        self,
        sweep_id: str,
        *,
        agent_id: str,
        held: list[tuple[int, int]],
        is_ending: bool = False,
    ) -> Beat:
        """Renew an agent's leases; see `catalog.trials.beat`."""
        from stepwell_hub.catalog import trials

        self.watch.wake()
        return await self._catalog.do(
            partial(
                trials.beat,
                sweep_id=sweep_id,
                agent_id=agent_id,
                held=held,
                is_ending=is_ending,
                now=self.clock(),
                lease_seconds=self.lease_seconds,
            )
        )

    async def end(
        self,
        sweep_id: str,
        number: int,
        *,
        agent_id: str,
        fencing: int,
        key: str,
        state: EndState,
        exit_code: int | None,
    ) -> Ended:
        """Note how an attempt ended; see `catalog.trials.end`."""
        from stepwell_hub.catalog import trials

        self.watch.wake()
        return await self._catalog.do(
            partial(
                trials.end,
                sweep_id=sweep_id,
                number=number,
                agent_id=agent_id,
                fencing=fencing,
                key=key,
                state=state,
                exit_code=exit_code,
                now=self.clock(),
            )
        )
