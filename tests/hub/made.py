"""Runs for the tests of the hub, stored as a daemon stores them."""

from collections.abc import Mapping, Sequence
from typing import Any

from stepwell_store import Store
from tests.store.made import START_US, event, log, tell, writer


def make_run(
    store: Store,
    project: str,
    run_id: str,
    *,
    name: str = "",
    state: str = "finished",
    config: Mapping[str, Any] | None = None,
    steps: int = 10,
    metrics: Sequence[str] = ("loss",),
    lines: Sequence[str] = ("begin", "end"),
    started_us: int = START_US,
) -> None:
    """Store a run; without a ``state`` it runs on."""
    who = writer(project, run_id)
    start = {
        "project": project,
        "run_id": run_id,
        "writer_id": who.writer_id,
        "label": "",
        "rank": 0,
        "world_size": 1,
        "name": name or run_id,
        "host": "node-a",
        "pid": 42,
        "started_at": started_us,
        "client": "test",
        "resumed": False,
    }
    console = [[number, started_us + number, text] for number, text in enumerate(lines, 1)]
    events = [
        event("start", start, time_us=started_us),
        event("run", {"name": name or run_id, "tags": ["small"]}),
        event("config", {"set": dict(config or {"lr": 0.1}), "delete": []}),
        event("console", {"stream": "stdout", "lines": console}),
    ]
    if state:
        events.append(event("finish", {"state": state, "exit_code": 0}, time_us=started_us + 10**7))
    tell(store, who, *events)
    if steps:
        values = [1.0 / (step + 1) for step in range(steps)]
        log(store, who, range(steps), **dict.fromkeys(metrics, values))
