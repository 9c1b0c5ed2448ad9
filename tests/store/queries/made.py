"""Runs for the tests of queries."""

from typing import Any

from stepwell_store import Store
from stepwell_wire.rows import Event
from tests.store.made import START_US, event, log, tell, writer

SECOND = 1_000_000


def at_us(seconds: float) -> int:
    return START_US + round(seconds * SECOND)


def start(
    name: str = "",
    *,
    at: float = 0,
    resumed: bool = False,
    rank: int = 0,
    restart: int = 0,
    by_launcher: bool = False,
) -> Event:
    body = {"name": name, "rank": rank, "started_at": at_us(at), "resumed": resumed}
    if restart:
        body |= {"restart": restart, "by_launcher": by_launcher}
    return event("start", body, time_us=at_us(at))


def finish(state: str = "finished", *, at: float = 10, exit_code: int = 0) -> Event:
    return event("finish", {"state": state, "exit_code": exit_code}, time_us=at_us(at))


def run_event(at: float = 0, **fields: Any) -> Event:
    return event("run", fields, time_us=at_us(at))


def configure(values: dict[str, Any], *, at: float = 0, delete: tuple[str, ...] = ()) -> Event:
    return event("config", {"set": values, "delete": list(delete)}, time_us=at_us(at))


def summarise(values: dict[str, Any], *, at: float = 0, delete: tuple[str, ...] = ()) -> Event:
    return event("summary", {"set": values, "delete": list(delete)}, time_us=at_us(at))


def define(name: str, *summary: str, at: float = 0, **more: Any) -> Event:
    body = {"name": name, "summary": list(summary), **more}
    return event("define_metric", body, time_us=at_us(at))


def make_run(
    store: Store,
    project: str,
    run_id: str,
    *events: Event,
    at: float = 0,
    name: str = "",
    config: dict[str, Any] | None = None,
    metrics: dict[str, list[float]] | None = None,
    state: str = "finished",
) -> None:
    """Store a run with one point a metric and millisecond, from step 0 on."""
    who = writer(project, run_id)
    told = [start(name or f"name-{run_id}", at=at)]
    if config:
        told.append(configure(config, at=at))
    told += events
    if state != "running":
        told.append(finish(state, at=at + 10, exit_code=int(state != "finished")))
    tell(store, who, *told)
    for metric, values in (metrics or {}).items():
        log(store, who, list(range(len(values))), **{metric: values})
