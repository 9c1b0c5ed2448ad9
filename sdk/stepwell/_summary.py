"""`run.summary`: one value a metric, the last one unless set or defined otherwise.

Nothing is kept up to date while training logs: the last values are read back from the journal
when somebody asks.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from stepwell._values import as_json
from stepwell._writer import Writer

_AUTOMATIC = ("_step", "_runtime", "_timestamp")


class MissingSummaryError(KeyError, AttributeError):
    """No such value, by item or by attribute."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class Summary:
    """Reads and writes the summary of a run."""

    def __init__(
        self,
        writer: Writer,
        publish: Callable[[dict[str, Any], list[str]], None],
        warn: Callable[[str, str], None],
        runtime_seconds: Callable[[], float],
    ) -> None:
        object.__setattr__(self, "_writer", writer)
        object.__setattr__(self, "_publish", publish)
        object.__setattr__(self, "_warn", warn)
        object.__setattr__(self, "_runtime_seconds", runtime_seconds)

    _writer: Writer
    _publish: Callable[[dict[str, Any], list[str]], None]
    _warn: Callable[[str, str], None]
    _runtime_seconds: Callable[[], float]

    def as_dict(self) -> dict[str, Any]:
        """Return all values; those of defined metrics as they were defined, None left out."""
        found = dict(self._writer.latest_values())
        for name, tracker in list(self._writer.definitions.trackers.items()):
            if tracker.overridden:
                continue
            value = tracker.summary()
            if value is None:
                found.pop(name, None)
            elif name in found:
                found[name] = value
        found = {name: value for name, value in found.items() if value is not None}
        if self._writer.has_logged:
            found.setdefault("_step", self._writer.last_step)
            found.setdefault("_timestamp", self._writer.last_us / 1e6 or time.time())
            found.setdefault("_runtime", round(self._runtime_seconds(), 3))
        return found

    def update(self, values: Mapping[str, Any]) -> None:
        """Set many values; each stands until the next ``log`` of its metric."""
        fresh = {str(key): as_json(value, self._warn) for key, value in dict(values).items()}
        self._writer.set_latest(fresh)
        self._writer.definitions.override(fresh)
        self._publish(fresh, [])

    def get(self, key: str, default: Any = None) -> Any:
        return self.as_dict().get(key, default)

    def keys(self) -> list[str]:
        return list(self.as_dict())

    def items(self) -> list[tuple[str, Any]]:
        return list(self.as_dict().items())

    def __getitem__(self, key: str) -> Any:
        found = self.as_dict()
        if key not in found:
            raise MissingSummaryError(f"summary has no value {key!r}")
        return found[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __delitem__(self, key: str) -> None:
        self[key]
        self._writer.forget_latest(key)
        self._writer.definitions.override([key])
        self._publish({}, [key])

    def __getattr__(self, key: str) -> Any:
        return self[key]

    def __setattr__(self, key: str, value: Any) -> None:
        self[key] = value

    def __delattr__(self, key: str) -> None:
        del self[key]

    def __contains__(self, key: object) -> bool:
        return key in self.as_dict()

    def __iter__(self) -> Iterator[str]:
        return iter(self.as_dict())

    def __len__(self) -> int:
        return len(self.as_dict())

    def __repr__(self) -> str:
        return repr(self.as_dict())
