"""Histories of many runs as an Arrow IPC stream.

    run_id dictionary of text | _label (where writers stand apart) | _step int64
    | _timestamp float64, seconds since 1970 UTC | each metric: float64, null where it has no value

A record batch comes for each part of the plan. pyarrow is imported at the first use.
"""

import io
from typing import Any, Final

import numpy as np

from stepwell_store.queries import Columns, ColumnsPlan, column_name

MEDIA_TYPE: Final = "application/vnd.apache.arrow.stream"
RUN_COLUMN: Final = "run_id"


def own_name(metric: str) -> str:
    """Return the metric's column: its name, unless the table has such a column of its own."""
    return f"{metric} (logged)" if metric == RUN_COLUMN else column_name(metric)


class ArrowColumns:
    """Makes the bytes of one stream, piece by piece."""

    def __init__(self, plan: ColumnsPlan) -> None:
        import pyarrow

        self._arrow = pyarrow
        self._runs = pyarrow.array(plan.run_ids, pyarrow.string())
        self._labels = pyarrow.array(plan.labels, pyarrow.string())
        words = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
        fields = [
            pyarrow.field(RUN_COLUMN, words, nullable=False),
            *([pyarrow.field("_label", words, nullable=False)] if plan.labels else []),
            pyarrow.field("_step", pyarrow.int64(), nullable=False),
            pyarrow.field("_timestamp", pyarrow.float64(), nullable=False),
            *(pyarrow.field(own_name(each), pyarrow.float64()) for each in plan.metrics),
        ]
        self._schema = pyarrow.schema(fields)
        self._has_labels = bool(plan.labels)
        self._sink = io.BytesIO()
        self._writer: Any = pyarrow.ipc.new_stream(self._sink, self._schema)

    def piece(self, columns: Columns) -> bytes:
        """Return the bytes that come next: these rows, and the schema where they are the first."""
        make = self._arrow.DictionaryArray.from_arrays
        arrays = [make(columns.run, self._runs)]
        if self._has_labels:
            arrays.append(make(columns.label, self._labels))
        arrays += [
            self._arrow.array(columns.step),
            self._arrow.array(columns.time / 1e6),
            *map(self._column, columns.values, columns.missing),
        ]
        self._writer.write_batch(self._arrow.record_batch(arrays, schema=self._schema))
        return self._taken()

    def end(self) -> bytes:
        """Return the last bytes; a stream without them is not whole."""
        self._writer.close()
        return self._taken()

    def _column(self, values: Any, missing: Any) -> Any:
        if not missing.any():
            return self._arrow.array(values)
        bits = np.packbits(~missing, bitorder="little")
        buffers = [self._arrow.py_buffer(bits), self._arrow.py_buffer(values)]
        return self._arrow.Array.from_buffers(
            self._arrow.float64(), len(values), buffers, int(missing.sum())
        )

    def _taken(self) -> bytes:
        taken = self._sink.getvalue()
        self._sink.seek(0)
        self._sink.truncate()
        return taken
