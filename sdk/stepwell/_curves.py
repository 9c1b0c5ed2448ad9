"""Curves of classifiers, as rows of the tables of `stepwell.plot`. Needs numpy."""

from collections.abc import Iterator, Sequence
from typing import Any

from stepwell._chart_spec import distinct_names

_DIGITS = 3

Rows = list[list[Any]]


def roc_rows(
    y_true: Any,
    y_probas: Any,
    labels: Sequence[str] | None,
    classes_to_plot: Sequence[Any] | None,
    points_max: int,
) -> Rows | None:
    """Return class, false positive rate and true positive rate; None without scores or numpy.

    Args:
        points_max: longer curves are thinned.

    Raises:
        ValueError: ``y_probas`` has not a row for each sample with a column for each class.
    """
    rows: Rows = []
    for name, falses, trues, numpy in _counts(y_true, y_probas, labels, classes_to_plot):
        ends = numpy.ones(len(falses), dtype=bool)
        ends[2:-1] = (numpy.diff(falses[1:], 2) != 0) | (numpy.diff(trues[1:], 2) != 0)
        places = numpy.flatnonzero(ends)  # Without points within a straight line, as scikit-learn.
        if len(places) > points_max:
            places = places[numpy.linspace(0, len(places) - 1, points_max).astype(int)]
        x, y = _share(falses, falses[-1], numpy), _share(trues, trues[-1], numpy)
        pairs = zip(x[places].tolist(), y[places].tolist(), strict=True)
        rounded = [[name, round(fpr, _DIGITS), round(tpr, _DIGITS)] for fpr, tpr in pairs]
        # Many points of a long curve are equal now.
        rows += [row for at, row in enumerate(rounded) if at == 0 or row != rounded[at - 1]]
    return rows or None


def pr_rows(
    y_true: Any,
    y_probas: Any,
    labels: Sequence[str] | None,
    classes_to_plot: Sequence[Any] | None,
    points: int,
) -> Rows | None:
    """Return class, precision and recall at evenly spaced recalls; else as `roc_rows`.

    The precision at a recall is the best one at this recall or a higher one.
    """
    rows: Rows = []
    for name, falses, trues, numpy in _counts(y_true, y_probas, labels, classes_to_plot):
        recall = _share(trues, trues[-1], numpy)
        precision = _share(trues, trues + falses, numpy)
        precision[0] = 1.0  # No sample is predicted.
        best = numpy.maximum.accumulate(precision[::-1])[::-1]
        wanted = numpy.linspace(0, 1, points)[::-1]
        places = numpy.minimum(numpy.searchsorted(recall, wanted), len(recall) - 1)
        pairs = zip(best[places].tolist(), wanted.tolist(), strict=True)
        rows += [[name, round(one, _DIGITS), round(other, _DIGITS)] for one, other in pairs]
    return rows or None


def _counts(
    y_true: Any, y_probas: Any, labels: Sequence[str] | None, classes_to_plot: Sequence[Any] | None
) -> Iterator[tuple[Any, Any, Any, Any]]:
    """Yield for each class its name, and false and true positives above each score, and numpy."""
    try:
        import numpy
    except ImportError:
        return
    if y_true is None or y_probas is None:
        return
    truths, scores = numpy.asarray(y_true), numpy.asarray(y_probas)
    classes = numpy.unique(truths)
    if scores.ndim != 2 or len(scores) != len(truths) or scores.shape[1] < len(classes):
        raise ValueError(
            f"y_probas has the shape {scores.shape}; expected a row for each of {len(truths)} "
            f"samples and a column for each of {len(classes)} classes"
        )
    drawn = {
        place: each
        for place, each in enumerate(classes.tolist())
        if classes_to_plot is None or each in classes_to_plot
    }
    names = distinct_names(_name_of(each, labels) for each in drawn.values())
    for place, name in zip(drawn, names, strict=True):
        order = numpy.argsort(scores[:, place], kind="stable")[::-1]
        hits, sorted_scores = (truths == classes[place])[order], scores[order, place]
        last = numpy.append(numpy.flatnonzero(numpy.diff(sorted_scores)), len(hits) - 1)
        trues = numpy.cumsum(hits)[last]
        falses = last + 1 - trues
        yield name, numpy.append(0, falses), numpy.append(0, trues), numpy


def _name_of(value: Any, labels: Sequence[str] | None) -> Any:
    is_named = labels is not None and isinstance(value, int) and not isinstance(value, bool)
    return labels[value] if labels is not None and is_named else value


def _share(part: Any, whole: Any, numpy: Any) -> Any:
    """Return ``part / whole``, 0 where ``whole`` is 0."""
    whole = numpy.broadcast_to(whole, part.shape)
    return numpy.divide(part, whole, out=numpy.zeros(part.shape), where=whole != 0)
