"""Rows of a run's history as scripts for Weights & Biases expect them."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from stepwell.errors import UsageError

if TYPE_CHECKING:
    from stepwell._hub_client import Hub

SAMPLES_MAX: Final = 10_000
OWN: Final = ("_step", "_timestamp", "_runtime", "_label")
"""Keys that each row has by default; `_label` if the run has several writers with labels."""


def history_rows(
    hub: "Hub",
    project: str,
    run_id: str,
    started_at: float | None,
    keys: Sequence[str] | None,
    **question: Any,
) -> Iterator[dict[str, Any]]:
    """Yield rows; with ``keys`` those that have all of them, with no other key but `_label`."""
    metrics = None if keys is None else [key for key in keys if key not in OWN]
    body = {"metrics": metrics or None, **question}
    for row in hub.lines("projects", project, "runs", run_id, "history", body=body):
        if started_at is not None:
            row["_runtime"] = row["_timestamp"] - started_at
        if keys is None:
            yield row
        elif all(key in row or key == "_label" for key in keys):
            kept = {key: row[key] for key in keys if key in row}
            if "_label" in row:
                kept["_label"] = row["_label"]
            yield kept


def checked_keys(keys: Sequence[str] | None) -> list[str] | None:
    """Return the keys as a list, None for all.

    Raises:
        UsageError: They are not names.
    """
    if keys is None:
        return None
    if isinstance(keys, str) or not all(isinstance(key, str) for key in keys):
        raise UsageError(f"keys: expected a list of names of metrics, not {keys!r}")
    return list(dict.fromkeys(keys)) or None


def checked_samples(samples: int) -> int:
    """Return ``samples``.

    Raises:
        UsageError: The hub does not return this number of rows.
    """
    if isinstance(samples, bool) or not isinstance(samples, int) or not 1 <= samples <= SAMPLES_MAX:
        raise UsageError(
            f"samples: {samples!r}; expected 1 to {SAMPLES_MAX:,}; for every row use scan_history()"
        )
    return samples


def steps_asked(min_step: int | None, max_step: int | None) -> dict[str, int | None]:
    """Return ``first`` and ``last``, both inside; ``max_step`` is the first that is left out."""
    last = None if max_step is None else int(max_step) - 1
    return {"first": None if min_step is None else int(min_step), "last": last}
