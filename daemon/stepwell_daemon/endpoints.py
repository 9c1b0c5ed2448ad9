"""The daemon's answers over HTTP, for Prometheus, probes and tools."""

import json
from collections.abc import Callable

from stepwell_daemon.http_server import Answer
from stepwell_daemon.metrics import CONTENT_TYPE, build_registry, render
from stepwell_daemon.status import Facts, status


def routes(facts: Facts) -> dict[str, Callable[[], Answer]]:
    """Return the function for each path."""
    registry = build_registry(facts)

    def ready() -> Answer:
        text = "\n".join(("ready" if facts.ready else "not ready", *facts.problems()))
        return Answer(f"{text}\n".encode(), status=200 if facts.ready else 503)

    return {
        "/metrics": lambda: Answer(render(registry), CONTENT_TYPE),
        "/healthz": lambda: Answer(b"alive\n"),
        "/readyz": ready,
        "/status.json": lambda: Answer(json.dumps(status(facts)).encode(), "application/json"),
    }
