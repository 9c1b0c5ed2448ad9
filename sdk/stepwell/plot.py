"""Charts made of tables: `line`, `scatter`, `bar` and others.

Each returns a value for `log`, which keeps the table, and which chart the page draws of it.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from stepwell._chart_spec import chart_of, distinct_names, is_drawn
from stepwell._frames import is_frame
from stepwell._later import warn_unavailable
from stepwell._media import Media
from stepwell._names import Warn, text_of
from stepwell._plot_values import lines_of, list_of
from stepwell._row_labels import is_series
from stepwell._table import Table
from stepwell._terminal import OF_ALL

if TYPE_CHECKING:
    from stepwell._staging import Stage

_CURVE_POINTS_MAX: Final = 1000
_CURVE_NEEDS: Final = (
    "needs numpy, y_true, y_probas, and at least one class to draw, whose column of y_probas is "
    "known and not all NaN"
)

__all__ = [
    "CustomChart",
    "bar",
    "confusion_matrix",
    "histogram",
    "line",
    "line_series",
    "plot_table",
    "pr_curve",
    "roc_curve",
    "scatter",
    "visualize",
]


class CustomChart(Media):
    """A chart of a table; `log` keeps the table.

    Args:
        id: the kind of chart, such as ``wandb/line/v0``.
        data: the table, or a data frame, see `Table`.
        fields: the column of each field of the chart; default: columns with the fields' names.
        string_fields: ``title``, and ``x-axis-title`` and ``y-axis-title``.
        split_table: no effect.
    """

    type = "custom-chart"
    is_kept = True  # A reason is printed if the table is not kept.
    needs = ""
    """What is missing if there is no table, "": the argument is not a table."""
    parameters = ("id", "data", "fields", "string_fields", "split_table")
    call = "CustomChart()"

    def __init__(self, *values: Any, **named: Any) -> None:
        super().__init__(*values, **named)
        texts = self.given.get("string_fields")
        title = texts.get("title") if isinstance(texts, Mapping) else None
        self.caption = None if title is None else text_of(title) or None
        data = self.given.get("data")
        if is_frame(data) or is_series(data):
            self.given["data"] = Table(data)

    @property
    def table(self) -> Table | None:
        """The table of the chart."""
        table = self.given.get("data")
        return table if isinstance(table, Table) else None

    def described(self, stage: "Stage | None", warn: Warn) -> dict[str, Any]:
        table = self.table
        if table is None:
            given = type(self.given.get("data")).__name__
            reason = self.needs or (
                f"expected a Table or a data frame, not a {given}: pass stepwell.Table(…)"
            )
            failed = {"blob": None, "failed": f"{self.call}: {reason}"}
            return {"_type": self.type, **failed, **self.caption_field()}
        about = {**table.described(stage, warn), **self.caption_field()}
        chart_id, fields, texts = map(self.given.get, ("id", "fields", "string_fields"))
        if not is_drawn(chart_id):
            warn_unavailable("chart", self.call, warn)
            return about
        chart, reason = chart_of(chart_id, fields, texts, table.columns)
        if chart is None:
            text = f"{self.call}: {reason}; no chart is drawn, the table is recorded"
            warn(f"{OF_ALL}chart {self.call} {reason}", text)
            return about
        return {**about, "chart": chart}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.table!r}>"


def plot_table(
    vega_spec_name: str,
    data_table: Any,
    fields: dict[str, Any],
    string_fields: dict[str, Any] | None = None,
    split_table: bool = False,
) -> CustomChart:
    """Return a chart of ``data_table``, with the titles in ``string_fields``.

    Args:
        vega_spec_name: ``wandb/line/v0``, or ``scatter``, ``bar``, ``histogram``, ``lineseries``,
            ``area-under-curve``, ``confusion_matrix`` in its place. Of others the table is kept.
        fields: the column of each field, such as ``{"x": "recall", "y": "precision"}``.
    """
    made = CustomChart(vega_spec_name, data_table, fields, string_fields, split_table)
    made.call = "plot_table()"
    return made


def visualize(id: str, value: Any) -> CustomChart:
    """Return a chart of the table ``value``; see `plot_table` for the ids."""
    made = CustomChart(id, value)
    made.call = "visualize()"
    return made


def line(
    table: Any,
    x: str,
    y: str,
    stroke: str | None = None,
    title: str = "",
    split_table: bool = False,
) -> CustomChart:
    """Return a line through two columns of ``table``, in the order of its rows.

    Args:
        stroke: a column with the name of each row's line, if there are several.
    """
    return _chart("line", "line", table, {"x": x, "y": y, "stroke": stroke}, title)


def scatter(table: Any, x: str, y: str, title: str = "", split_table: bool = False) -> CustomChart:
    """Return the points of two columns of ``table``."""
    return _chart("scatter", "scatter", table, {"x": x, "y": y}, title)


def bar(
    table: Any, label: str, value: str, title: str = "", split_table: bool = False
) -> CustomChart:
    """Return a bar for each row of ``table``."""
    return _chart("bar", "bar", table, {"label": label, "value": value}, title)


def histogram(table: Any, value: str, title: str = "", split_table: bool = False) -> CustomChart:
    """Return the histogram of a column of ``table``."""
    return _chart("histogram", "histogram", table, {"value": value}, title)


def line_series(
    xs: Sequence[Any],
    ys: Sequence[Any],
    keys: Sequence[str] | None = None,
    title: str = "",
    xname: str = "x",
    split_table: bool = False,
) -> CustomChart:
    """Return several lines; the table's columns are ``step``, ``lineKey`` and ``lineVal``.

    Args:
        xs: one sequence for all lines, or one for each.
        ys: a sequence for each line, or of one line alone; or a dict or a data frame of them.
        keys: a name for each line; default those of ``ys``, otherwise ``line_0`` and so on.
        xname: the title of the x axis.

    Raises:
        ValueError: ``xs`` or ``keys`` have another length than ``ys``.
    """
    lines, own_names = lines_of(ys)
    keys = own_names if keys is None else keys
    all_places = lines_of(xs)[0]
    if len(all_places) < 2:
        all_places = (all_places or [[]]) * len(lines)
    names = [f"line_{number}" for number in range(len(lines))] if keys is None else list_of(keys)
    for what, found in (("xs", all_places), ("keys", names)):
        if len(found) != len(lines):
            raise ValueError(f"line_series(): {len(found)} {what} for {len(lines)} ys")
    for name, row_of_x, row_of_y in zip(names, all_places, lines, strict=True):
        if len(row_of_x) != len(row_of_y):
            text = f"line_series(): {name} has {len(row_of_x)} xs and {len(row_of_y)} ys"
            warnings.warn(f"{text}; those without the other are left out", stacklevel=2)
    rows = [
        [x, name, y]
        for name, row_of_x, row_of_y in zip(distinct_names(names), all_places, lines, strict=True)
        for x, y in zip(row_of_x, row_of_y, strict=False)
    ]
    table = Table(columns=["step", "lineKey", "lineVal"], data=rows)
    titles = {"xname": xname, "y-axis-title": "y"}
    return _chart("line_series", "lineseries", table, {}, title, **titles)


def roc_curve(
    y_true: Any,
    y_probas: Any = None,
    labels: Sequence[str] | None = None,
    classes_to_plot: Sequence[Any] | None = None,
    title: str = "ROC Curve",
    split_table: bool = False,
) -> CustomChart:
    """Return the ROC curve of each class; columns ``class``, ``fpr`` and ``tpr``.

    Args:
        y_true: the class of each sample.
        y_probas: a row for each sample, with a score for each class: in the order of ``labels`` if
            the classes are texts in it, of a data frame with the classes as names of its columns,
            else in sorted order. If ``y_true`` has fewer classes than that, its classes are the
            numbers of columns, from 0 on.
        labels: names of the classes: of integers by their number.
        classes_to_plot: only these.

    A curve has at most 1,000 points: of more thresholds, evenly spread ones, and both ends. Samples
    whose score is NaN, or whose class is None or NaN, are left out with a warning.

    Raises:
        ValueError: ``y_probas`` has not a row for each sample, or a class has no label.
    """
    from stepwell._curves import roc_rows

    rows = roc_rows(y_true, y_probas, labels, classes_to_plot, _CURVE_POINTS_MAX)
    table = _table_of(["class", "fpr", "tpr"], rows)
    titles = {"x-axis-title": "False positive rate", "y-axis-title": "True positive rate"}
    fields = {"x": "fpr", "y": "tpr", "class": "class"}
    return _curves("roc_curve", table, fields, title, titles)


def pr_curve(
    y_true: Any,
    y_probas: Any = None,
    labels: Sequence[str] | None = None,
    classes_to_plot: Sequence[Any] | None = None,
    interp_size: int = 21,
    title: str = "Precision-Recall Curve",
    split_table: bool = False,
) -> CustomChart:
    """Return precision over recall of each class; columns ``class``, ``precision``, ``recall``.

    Args:
        interp_size: number of points, at evenly spaced recalls; see `roc_curve` for the others.
    """
    from stepwell._curves import pr_rows

    rows = pr_rows(y_true, y_probas, labels, classes_to_plot, interp_size)
    table = _table_of(["class", "precision", "recall"], rows)
    titles = {"x-axis-title": "Recall", "y-axis-title": "Precision"}
    fields = {"x": "recall", "y": "precision", "class": "class"}
    return _curves("pr_curve", table, fields, title, titles)


def confusion_matrix(
    probs: Any = None,
    y_true: Any = None,
    preds: Any = None,
    class_names: Sequence[str] | None = None,
    title: str = "Confusion Matrix Curve",
    split_table: bool = False,
) -> CustomChart:
    """Return how often which class is predicted; ``Actual``, ``Predicted``, ``nPredictions``.

    Args:
        probs: a row for each sample, with a score for each class; or give ``preds``.
        y_true: the class of each sample.
        preds: the predicted class of each sample.
        class_names: names of the classes 0, 1 and so on, or all classes if they are texts, with
            ``probs`` in the order of its columns; default the texts that occur, or ``Class_1`` for
            the lowest number and so on.

    Samples with a NaN in ``probs``, or whose class is None or NaN, are left out with a warning.

    Raises:
        ValueError: Both or none of ``probs`` and ``preds``, different numbers of samples, several
            values for a sample, classes of different kinds, or a class without a name.
    """
    from stepwell._confusion import confusion_pairs

    if (probs is None) == (preds is None) or y_true is None:
        raise ValueError("confusion_matrix(): give y_true and one of probs and preds")
    truths, guesses, classes, names = confusion_pairs(probs, y_true, preds, class_names)
    counts = dict.fromkeys(((one, other) for one in classes for other in classes), 0)
    for pair in zip(truths, guesses, strict=True):
        counts[pair] += 1
    name_of = dict(zip(classes, distinct_names(names), strict=True))
    rows = [[name_of[one], name_of[other], count] for (one, other), count in counts.items()]
    table = Table(columns=["Actual", "Predicted", "nPredictions"], data=rows)
    return _chart("confusion_matrix", "confusion_matrix", table, {}, title)


def _chart(
    function: str, kind: str, table: Any, fields: dict[str, Any], title: str, **texts: str
) -> CustomChart:
    version = "v1" if kind == "confusion_matrix" else "v0"
    made = CustomChart(f"wandb/{kind}/{version}", table, fields, {"title": title, **texts})
    made.call = f"plot.{function}()"
    return made


def _curves(
    function: str, table: Table | None, fields: dict[str, Any], title: str, titles: dict[str, str]
) -> CustomChart:
    made = _chart(function, "area-under-curve", table, fields, title, **titles)
    made.needs = "" if table is not None else _CURVE_NEEDS
    return made


def _table_of(columns: list[str], rows: list[list[Any]] | None) -> Table | None:
    return None if rows is None else Table(columns=columns, data=rows)
