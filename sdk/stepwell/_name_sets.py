"""Which sets of metric names a writer has used, numbered, within the limits of daemons."""

import itertools
from typing import Final

from stepwell_wire.limits import (
    METRICS_PER_WRITER_MAX,
    NAMES_BYTES_MAX,
    SCHEMAS_PER_WRITER_MAX,
    names_size,
)

_SHARED_MAX: Final = SCHEMAS_PER_WRITER_MAX * 3 // 4  # From here on, one set for each metric.
_SHARED_BYTES_MAX: Final = NAMES_BYTES_MAX * 3 // 4  # Likewise.


class NameSets:
    """Ids of schemas: the same for the same names in the same order, never used twice."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, ...], int] = {}
        self._numbers = itertools.count(1)
        self._metrics: set[str] = set()
        self._names_bytes = 0

    def __str__(self) -> str:
        return (
            f"{len(self._ids)} different sets of metric names in one writer, "
            f"{self._names_bytes} bytes of names; values of further sets are logged name by "
            f"name, and dropped beyond {SCHEMAS_PER_WRITER_MAX} sets or {NAMES_BYTES_MAX} "
            "bytes; log the same names together in each call"
        )

    def number_of(self, keys: tuple[str, ...]) -> int | None:
        """Return the id of ``keys``, a new one if needed; None at a limit."""
        number = self._ids.get(keys)
        if number is not None:
            return number
        alone = len(keys) == 1
        size, size_max = names_size(keys), NAMES_BYTES_MAX if alone else _SHARED_BYTES_MAX
        fresh_count = sum(key not in self._metrics for key in keys)
        if (
            len(self._ids) < (SCHEMAS_PER_WRITER_MAX if alone else _SHARED_MAX)
            and self._names_bytes + size <= size_max
            and len(self._metrics) + fresh_count <= METRICS_PER_WRITER_MAX
        ):
            # Taken before it is used: a signal handler that defines keys too gets another.
            number = self._ids.setdefault(keys, next(self._numbers))
            if number <= SCHEMAS_PER_WRITER_MAX:
                self._names_bytes += size
                return number
        return None

    def define(self, keys: tuple[str, ...]) -> None:
        """Note that the journal holds the definition of ``keys``: its metrics count."""
        self._metrics.update(keys)

    def table(self) -> list[tuple[int, tuple[str, ...]]]:
        """Return every set so far with its id."""
        ids = self._ids.copy()  # One call in C: safe beside `log` in another thread.
        return [(number, keys) for keys, number in ids.items()]
