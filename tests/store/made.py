"""Writers, records and blocks for the tests of the store."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell_store import Block, BlockBuilder, Store, WriterInfo
from stepwell_wire.rows import DecodedRecords, Event, Rows

_numbers = itertools.count(1)
START_US = 1_700_000_000_000_000


def fresh_project() -> str:
    """Return a project that no other test uses."""
    return f"project-{next(_numbers)}"


def writer(
    project: str, run_id: str = "run", *, label: str = "", scope: str = "run", host: str = "node-a"
) -> WriterInfo:
    return WriterInfo(project, run_id, f"w{label}", label, scope, host, 42)


def rows(
    schema: int, steps: Sequence[int], values: Any, times: Sequence[int] | None = None
) -> Rows:
    if times is None:
        times = [START_US + step * 1000 for step in steps]
    table: NDArray[np.float64] = np.asarray(values, dtype=np.float64).reshape(len(steps), -1)
    return Rows(schema, np.array(steps, dtype=np.int64), np.array(times, dtype=np.int64), table)


def event(kind: str, body: dict[str, Any], *, step: int = 0, time_us: int = START_US) -> Event:
    return Event(step, time_us, kind, body)


def decoded(all_rows: Iterable[Rows] = (), events: Iterable[Event] = ()) -> DecodedRecords:
    held = list(all_rows)
    points = sum(each.values.size for each in held)
    return DecodedRecords(held, list(events), sum(len(each.steps) for each in held), points)


def build(
    *parts: tuple[WriterInfo, DecodedRecords], schemas: dict[int, tuple[str, ...]] | None = None
) -> list[Block]:
    builder = BlockBuilder()
    for who, records in parts:
        builder.add(who, records, schemas or {})
    return builder.build()


def insert(store: Store, blocks: Iterable[Block], extent: str, *, may_repeat: bool = False) -> None:
    for block in blocks:
        store.insert(block, f"{extent}:{block.digest()}", may_repeat=may_repeat)


def log(store: Store, who: WriterInfo, steps: Sequence[int], **metrics: Sequence[float]) -> None:
    """Store one row per step with a value of each metric."""
    table = np.array(list(metrics.values()), dtype=np.float64).T
    blocks = build((who, decoded([rows(1, steps, table)])), schemas={1: tuple(metrics)})
    insert(store, blocks, f"log-{next(_numbers)}")


def tell(store: Store, who: WriterInfo, *events: Event) -> None:
    insert(store, build((who, decoded(events=events))), f"tell-{next(_numbers)}")
