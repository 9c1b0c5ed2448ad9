"""Rows of a run's history as scripts for Weights & Biases expect them."""

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from stepwell.errors import UsageError

if TYPE_CHECKING:
    from stepwell._hub_client import Hub

SAMPLES_MAX: Final = 10_000
_STEP: Final = "_step"
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


def sampled_rows(
    read: Callable[..., Iterator[dict[str, Any]]], keys: list[str] | None, samples: int
) -> list[dict[str, Any]]:
    """Return the rows of at most ``samples`` steps, evenly chosen, with the first and the last.

    The hub chooses up to 10,000 steps. For more, all rows are read and chosen from here by the
    same rule; no more than the answer is held in memory.

    Args:
        read: yields the rows with these keys, and asks the hub for those that its named arguments
            describe.
    """
    if samples <= SAMPLES_MAX:
        return list(read(keys, samples=samples))
    asked = keys if keys is None or _STEP in keys else [*keys, _STEP]
    steps, rows = array("q"), []
    for row in read(asked):
        if not steps or row[_STEP] != steps[-1]:
            steps.append(row[_STEP])
        if len(steps) <= samples:
            rows.append(row)
        elif rows:
            rows.clear()
    if len(steps) > samples:
        gap = (len(steps) - 1) / (samples - 1)
        chosen = {steps[round(number * gap)] for number in range(samples)}
        rows = [row for row in read(asked, last=steps[-1]) if row[_STEP] in chosen]
    if asked is not keys:
        for row in rows:
            del row[_STEP]
    return rows


def checked_samples(samples: int) -> int:
    """Return ``samples``.

    Raises:
        UsageError: It is no number of rows.
    """
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
        raise UsageError(f"samples: {samples!r}; expected a whole number of 1 or more")
    return samples


def steps_asked(min_step: int | None, max_step: int | None) -> dict[str, int | None]:
    """Return ``first`` and ``last``, both inside; ``max_step`` is the first that is left out."""
    last = None if max_step is None else int(max_step) - 1
    return {"first": None if min_step is None else int(min_step), "last": last}
