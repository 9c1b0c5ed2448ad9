"""How the hub, its store and its daemon are."""

import asyncio
import json
import urllib.request
from dataclasses import dataclass
from typing import Annotated, Any, Final

from msgspec import Meta

from stepwell_hub.endpoints import Call, Form, endpoint
from stepwell_store import StoreError, queries
from stepwell_wire import __version__

_DAEMON_SECONDS: Final = 2.0
_FLUSH_SECONDS_MAX: Final = 60.0


@dataclass(frozen=True, slots=True)
class HubFacts:
    version: str
    started_at: float
    store_kind: str
    listeners: int
    failures: int


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """``problem``: the reason why there are no tables, "" with tables."""

    tables: tuple[queries.TableSize, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class HubStatus:
    """``daemon``: the daemon's status.json, None without a daemon."""

    hub: HubFacts
    daemon: dict[str, Any] | None
    store: StoreFacts


@endpoint("GET", "/status", answer=HubStatus)
async def get_status(call: Call) -> Any:
    """Get the status of hub, store and daemon."""
    context = call.context
    address = context.config.daemon_status
    daemon = await asyncio.to_thread(_status_of, address) if address else None
    return {
        "hub": HubFacts(
            version=__version__,
            started_at=context.started_at,
            store_kind=context.store.kind,
            listeners=context.feeds.listener_count,
            failures=context.failures,
        ),
        "daemon": daemon,
        "store": await _store_facts(call),
    }


class FlushForm(Form, kw_only=True):
    timeout_seconds: Annotated[float, Meta(ge=0, le=_FLUSH_SECONDS_MAX)] = 10.0


@dataclass(frozen=True, slots=True)
class FlushAnswer:
    """``stored``: false without a daemon, and if it took too long."""

    stored: bool


@endpoint("POST", "/flush", body=FlushForm, answer=FlushAnswer)
async def flush(call: Call) -> Any:
    """Wait until rows that this node's daemon received before the call can be read."""
    return FlushAnswer(stored=await call.context.await_rows(call.body.timeout_seconds))


async def _store_facts(call: Call) -> StoreFacts:
    """Return the store's state, also when it does not answer: users open this page then."""
    try:
        return StoreFacts(tables=await call.ask(queries.table_sizes))
    except StoreError as error:
        return StoreFacts(tables=(), problem=str(error))


def _status_of(address: str) -> dict[str, Any] | None:
    """Return the daemon's status, None when it does not answer."""
    try:
        # Ignore a proxy from the environment: the daemon is on this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(address, timeout=_DAEMON_SECONDS) as answer:
            found = json.loads(answer.read())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
