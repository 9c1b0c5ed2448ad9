"""Groups of runs with equal values, for an exported file. Pure.

The page's `charts/groups.ts` makes the same: `hub/web/tests/pages/groups.json` has cases that both
are tested with.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from stepwell_hub.reports.values import exact_text, value_text
from stepwell_store.attributes import value_key


def group_runs(runs: Iterable[Any], value_of: Callable[[Any], Any]) -> dict[str, list[Any]]:
    """Return the runs of each group, by its name, in order of the first run.

    Runs without a value, and with None, are one group. The text "1" is not the number.
    """
    groups: dict[str, tuple[Any, list[Any]]] = {}
    for run in runs:
        value = value_of(run)
        groups.setdefault(value_key(value), (value, []))[1].append(run)
    names = group_names([value for value, _ in groups.values()])
    return dict(zip(names, (inside for _, inside in groups.values()), strict=True))


def group_names(values: Sequence[Any]) -> list[str]:
    """Return the names of groups with these values, which are different.

    Where two would have one name, numbers have all their digits, and texts are in quotes.
    """
    short = ["none" if value is None else value_text(value) for value in values]
    counts = Counter(short)
    seen: Counter[str] = Counter()
    names = []
    for value, name in zip(values, short, strict=True):
        full = _name(value, name, is_shared=counts[name] > 1)
        seen[full] += 1
        names.append(f"{full} ({seen[full]})" if seen[full] > 1 else full)
    return names


def _name(value: Any, short: str, *, is_shared: bool) -> str:
    if isinstance(value, str):
        is_quoted = is_shared or not value.strip() or value.startswith('"')
        return json.dumps(value, ensure_ascii=False) if is_quoted else short
    return exact_text(value) if is_shared and value is not None else short
