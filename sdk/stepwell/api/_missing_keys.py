"""Keys of a history that no row has: a mistyped name would otherwise give an empty answer."""

import warnings
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from stepwell.api._history import OWN, history_rows
from stepwell.api._names import nearest

if TYPE_CHECKING:
    from stepwell._hub_client import Hub


def no_metric_text(owner: str, metric: str, known: Collection[str]) -> str:
    """Return that ``owner``, a run or a project, has no such metric, with the nearest names."""
    return f"{owner} has no metric {metric!r}{nearest(metric, list(known))}"


def missing_in_run(hub: "Hub", project: str, run_id: str, keys: Iterable[str]) -> list[str]:
    """Return a sentence for each of ``keys`` that the run never logged.

    To be called if a history is empty: it asks the hub.
    """
    found = hub.ask("GET", "projects", project, "runs", run_id, "metrics")["metrics"]
    known = [each["metric"] for each in found]
    lacking = []
    for key in keys:
        if key in known or key in OWN:
            continue
        # Texts and media are not in the list of metrics.
        if not list(history_rows(hub, project, run_id, None, [key], samples=1)):
            lacking.append(no_metric_text(f"run {project}/{run_id}", key, known))
    return lacking


def warn_each(sentences: Iterable[str], stacklevel: int) -> None:
    """Warn at the caller's line; ``stacklevel`` counts from the function that calls this."""
    for each in sentences:
        warnings.warn(f"keys: {each}", UserWarning, stacklevel=stacklevel + 1)
