"""Histories as tables of Arrow and pandas, which only this module imports."""

import http.client
from collections.abc import Sequence
from contextlib import closing
from typing import Any, Final

from stepwell._hub_client import Hub
from stepwell._whole_numbers import EXACT_BELOW, is_whole
from stepwell.errors import MissingPackageError

_FIRST: Final = 1000
_END: Final = b"\xff\xff\xff\xff\0\0\0\0"
"""The end of an Arrow stream. A reader treats a stream that was cut before it as complete."""


class _Stream:
    """An answer as a file that remembers its last bytes."""

    def __init__(self, hub: Hub, answer: http.client.HTTPResponse) -> None:
        self._hub, self._answer = hub, answer
        self._tail = b""
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._answer.read(None if size < 0 else size)
        except (OSError, http.client.HTTPException) as error:
            raise self._hub.broke_off(error) from error
        self._tail = (self._tail + data[-len(_END) :])[-len(_END) :]
        return data

    def check_end(self) -> None:
        while self.read(1 << 16):
            pass
        if self._tail != _END:
            raise self._hub.broke_off()

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def arrow_table(hub: Hub, project: str, question: dict[str, Any]) -> Any:
    """Return the hub's answer to ``question`` as a `pyarrow.Table`.

    Raises:
        MissingPackageError: pyarrow is not installed.
        HubError: The hub refuses, or the answer is truncated.
    """
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError as error:
        raise MissingPackageError(
            "pyarrow", "read the runs one by one with run.scan_history()"
        ) from error
    with closing(hub.opened("POST", "projects", project, "histories", body=question)) as answer:
        stream = _Stream(hub, answer)
        try:
            table = pyarrow.ipc.open_stream(stream).read_all()
        except pyarrow.ArrowInvalid as error:
            raise hub.broke_off(error) from error
        stream.check_end()
    return table


def empty_columns(table: Any, names: Sequence[str]) -> list[str]:
    """Return those of ``names`` whose column has no value in a table with rows."""
    if not table.num_rows:
        return []
    return [
        name
        for name in names
        if name in table.column_names and table[name].null_count == table.num_rows
    ]


def to_pandas(table: Any, names: Sequence[str]) -> Any:
    """Return the table as a DataFrame; this moves its memory, so do not use the table after it.

    Those of the columns ``names`` that have only whole numbers become ints.
    """
    _pandas()
    frame = table.to_pandas(split_blocks=True, self_destruct=True)
    for name in names:
        values = frame[name].to_numpy()
        if values.dtype == "float64" and _are_whole(values):
            frame[name] = values.astype("int64")
    return frame


def _are_whole(values: Any) -> bool:
    """Return whether `is_whole` holds for all values of a numpy array."""
    import numpy as np

    if not all(map(is_whole, values[:_FIRST].tolist())):  # Mostly: without a copy of them all.
        return False
    with np.errstate(invalid="ignore"):
        is_good = (np.trunc(values) == values) & (np.abs(values) < EXACT_BELOW)
    return bool(is_good.all()) and not np.signbit(values[values == 0]).any()


def frame_of(rows: Sequence[dict[str, Any]]) -> Any:
    """Return rows as a DataFrame.

    Raises:
        MissingPackageError: pandas is not installed.
    """
    return _pandas().DataFrame.from_records(rows)


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise MissingPackageError("pandas", "pass pandas=False for a list of rows") from error
    return pandas
