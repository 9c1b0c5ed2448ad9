"""The values of a summary below one name, as a dict: ``run.summary["val"]["acc"]``."""

from collections.abc import Mapping, MutableMapping
from typing import Any


class Below(dict[str, Any]):
    """A dict of the values below ``above``. A change of it is a change of the summary."""

    def __init__(self, summary: Any, above: str) -> None:
        super().__init__()
        self._summary = summary
        self._above = above

    def put(self, name: str, value: Any) -> None:
        """Add a value of the summary."""
        super().__setitem__(name, value)

    def __setitem__(self, name: str, value: Any) -> None:
        path = f"{self._above}.{name}"
        self._summary[path] = value
        if path in self._summary:  # Else the run has finished.
            super().__setitem__(name, self._summary[path])

    def __delitem__(self, name: str) -> None:
        self[name]
        path = f"{self._above}.{name}"
        del self._summary[path]
        if path not in self._summary:
            super().__delitem__(name)

    def __ior__(self, values: Any) -> "Below":  # type: ignore[override, misc]
        self.update(values)
        return self

    # Those of dict do not call the methods above.
    clear = MutableMapping.clear
    pop = MutableMapping.pop
    popitem = MutableMapping.popitem
    setdefault = MutableMapping.setdefault
    update = MutableMapping.update

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        return dict, (dict(self),)


def below(summary: Any, above: str, values: Mapping[str, Any]) -> Below:
    """Return ``values``, whose names begin with ``above`` and a dot, as nested dicts.

    A name below another value keeps its dots, as in the store.
    """
    found = Below(summary, above)
    for name in sorted(values):
        place, rest = found, name[len(above) + 1 :]
        while "." in rest:
            first, _, after = rest.partition(".")
            if first not in place:
                place.put(first, Below(summary, name[: len(name) - len(after) - 1]))
            following = place[first]
            if not isinstance(following, Below):
                break
            place, rest = following, after
        place.put(rest, values[name])
    return found
