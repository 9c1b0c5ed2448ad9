"""Curves of classifiers, as rows of the tables of `stepwell.plot`. Needs numpy."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stepwell._chart_spec import distinct_names
from stepwell._frames import is_frame
from stepwell._plot_values import classes_of, has_class

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
        ValueError: ``y_probas`` has not a row for each sample, or a class has no label.
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
    hint = "Of one-hot rows pass y_true.argmax(axis=1)"
    given, scores = classes_of(y_true, "y_true", hint), numpy.asarray(y_probas)
    known = [has_class(each) for each in given]
    if scores.ndim == 2 and len(scores) == len(given) and not all(known):
        text = f"{known.count(False)} of {len(given)} samples are left out: their class is None or"
        warnings.warn(f"{text} NaN", UserWarning, stacklevel=4)
        given, scores = [each for each in given if has_class(each)], scores[numpy.array(known)]
    truths = numpy.asarray(given)
    classes = numpy.unique(truths).tolist()
    if scores.ndim != 2 or len(scores) != len(truths) or scores.shape[1] < len(classes):
        is_flat = len(classes) < 3 and (scores.ndim == 1 or scores.shape[1:] == (1,))
        raise ValueError(
            f"y_probas has the shape {scores.shape}; expected a row for each of {len(truths)} "
            f"samples and a column for each of {len(classes)} classes"
            + ("; of scores s of class 1 make numpy.stack([1 - s, s], axis=1)" if is_flat else "")
        )
    named: list[Any] = []
    if is_frame(y_probas):
        named = list(getattr(y_probas, "column_names", None) or y_probas.columns)
    columns = _columns_of(classes, scores.shape[1], labels, named, _categories(y_true))
    if columns is None:
        text = (
            f"y_probas has {scores.shape[1]} columns and y_true {len(classes)} classes, so the "
            "column of a class is unknown and no curve is drawn; expected classes from 0 to "
            f"{scores.shape[1] - 1}, or as labels the classes of all columns"
        )
        warnings.warn(text, UserWarning, stacklevel=4)
        return
    drawn = [each for each in classes if classes_to_plot is None or each in classes_to_plot]
    names = distinct_names(_names_of(drawn, classes, labels, columns, scores.shape[1]))
    for each, name in zip(drawn, names, strict=True):
        column = _numbers_of(scores[:, columns[each]], numpy)
        is_number = ~numpy.isnan(column)
        if not is_number.all():
            count = len(column) - int(is_number.sum())
            text = f"class {name}: {count} of {len(column)} samples are left out: their score is"
            warnings.warn(f"{text} NaN", UserWarning, stacklevel=4)
            if count == len(column):
                continue
        column = column[is_number]
        order = numpy.argsort(column, kind="stable")[::-1]
        hits, sorted_scores = (truths == each)[is_number][order], column[order]
        last = numpy.append(numpy.flatnonzero(numpy.diff(sorted_scores)), len(hits) - 1)
        trues = numpy.cumsum(hits)[last]
        falses = last + 1 - trues
        yield name, numpy.append(0, falses), numpy.append(0, trues), numpy


def _columns_of(
    classes: list[Any],
    count: int,
    labels: Sequence[str] | Mapping[Any, str] | None,
    named: Sequence[Any],
    categories: Sequence[Any],
) -> dict[Any, int] | None:
    """Return the column of each class: by the names of a data frame, by labels, or in order.

    None if there are more columns than classes, and nothing says which are whose.

    Args:
        named: names of the columns.
        categories: of which the classes are some, sorted.
    """
    known = [] if labels is None or isinstance(labels, Mapping) else list(labels)
    for names in (named, known, categories):
        if len(names) == count and all(each in names for each in classes):
            return {each: list(names).index(each) for each in classes}
    if len(classes) == count:
        return {each: place for place, each in enumerate(classes)}
    if all(_is_number(each) and 0 <= each < count for each in classes):
        return {each: int(each) for each in classes}
    return None


def _categories(y_true: Any) -> list[Any]:
    """Return the categories of a Series or Categorical of pandas; else none.

    They are sorted, as classifiers sort the classes: the order of categories has another meaning.
    """
    found = getattr(getattr(y_true, "dtype", None), "categories", None)
    return [] if found is None else sorted(found)


def _numbers_of(column: Any, numpy: Any) -> Any:
    """Return scores as float64, NaN for None and for NA of pandas."""
    try:
        return column.astype(float)
    except TypeError:
        return numpy.array([float(each) if has_class(each) else numpy.nan for each in column])


def _names_of(
    drawn: list[Any],
    classes: list[Any],
    labels: Sequence[Any] | Mapping[Any, Any] | None,
    columns: Mapping[Any, int],
    count: int,
) -> list[Any]:
    """Return the name of each class that is drawn.

    Classes that are labels, or no numbers, are their own names. With a label for each column, a
    class has the name of its column; else its number is the place of its label.

    Raises:
        ValueError: A class has no label.
    """
    if labels is None:
        return drawn
    if isinstance(labels, Mapping):
        return [labels.get(each, each) for each in drawn]
    known = list(labels)
    if all(each in known for each in classes) or not all(map(_is_number, classes)):
        return drawn
    if len(known) == count:
        return [known[columns[each]] for each in drawn]
    outside = [each for each in drawn if not 0 <= each < len(known)]
    if not outside:
        return [known[int(each)] for each in drawn]
    raise ValueError(
        f"labels has {len(known)} names, for the classes 0 to {len(known) - 1}; y_true has the "
        f"class {outside[0]}"
    )


def _is_number(value: Any) -> bool:
    """Whether it is an integer, also as float or bool: labels of pandas with a gap are floats."""
    return isinstance(value, int | float) and float(value).is_integer()


def _share(part: Any, whole: Any, numpy: Any) -> Any:
    """Return ``part / whole``, 0 where ``whole`` is 0."""
    whole = numpy.broadcast_to(whole, part.shape)
    return numpy.divide(part, whole, out=numpy.zeros(part.shape), where=whole != 0)
