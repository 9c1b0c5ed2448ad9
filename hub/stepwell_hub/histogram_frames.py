"""Histogram frames: the matrix of one metric, in the shape of a series frame.

Columns of ``n`` values each, but ``counts``, which has ``n * bins``, row by row. No I/O here;
docs/formats/hub-api.md describes the header.
"""

import numpy as np

from stepwell_hub.frames import VERSION, Body, packed
from stepwell_store.queries import HistogramMatrix


def histogram_frame(item: int, run_id: str, matrix: HistogramMatrix) -> bytes:
    """Return one frame; ``item`` is its place in the question."""
    body = Body()
    columns = {
        "step": body.add(matrix.steps.astype("<f8")),
        "time": body.add(matrix.times.astype("<f8")),
        # The page shows no more digits of a count, and f4 takes half the bytes.
        "counts": body.add(np.ascontiguousarray(matrix.counts, dtype="<f4").reshape(-1)),
        "total": body.add(matrix.counts.sum(axis=1).astype("<f8")),
        "own_low": body.add_floats(matrix.own_low),
        "own_high": body.add_floats(matrix.own_high),
    }
    non_finite = {
        "nan": matrix.nan_count,
        "positive_inf": matrix.positive_inf_count,
        "negative_inf": matrix.negative_inf_count,
    }
    columns |= {
        name: body.add_counts(counts) for name, counts in non_finite.items() if counts.any()
    }
    header = {
        "v": VERSION,
        "item": item,
        "kind": "histograms",
        "metric": matrix.metric,
        "run_id": run_id,
        "labels": list(matrix.labels),
        "label": matrix.label,
        "version": matrix.version,
        "steps": matrix.step_count,
        "level": matrix.level,
        "n": len(matrix.steps),
        "bins": matrix.counts.shape[1],
        "low": matrix.low,
        "high": matrix.high,
        "columns": columns,
    }
    return packed(header, body)
