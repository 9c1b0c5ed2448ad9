"""Charts made of tables: `line`, `scatter`, `bar` and others. They are not drawn yet.

Each returns a value for `log`; the history keeps the chart's title and that it was logged.
"""

from collections.abc import Sequence
from typing import Any

from stepwell._media import CustomChart

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


def plot_table(
    vega_spec_name: str,
    data_table: Any,
    fields: dict[str, Any],
    string_fields: dict[str, Any] | None = None,
    split_table: bool = False,
) -> CustomChart:
    return CustomChart(vega_spec_name, data_table, fields, string_fields, split_table)


def visualize(id: str, value: Any) -> CustomChart:
    return CustomChart(id, value)


def line(
    table: Any,
    x: str,
    y: str,
    stroke: str | None = None,
    title: str = "",
    split_table: bool = False,
) -> CustomChart:
    return _chart("line", title)


def scatter(table: Any, x: str, y: str, title: str = "", split_table: bool = False) -> CustomChart:
    return _chart("scatter", title)


def bar(
    table: Any, label: str, value: str, title: str = "", split_table: bool = False
) -> CustomChart:
    return _chart("bar", title)


def histogram(table: Any, value: str, title: str = "", split_table: bool = False) -> CustomChart:
    return _chart("histogram", title)


def line_series(
    xs: Sequence[Any],
    ys: Sequence[Any],
    keys: Sequence[str] | None = None,
    title: str = "",
    xname: str = "x",
    split_table: bool = False,
) -> CustomChart:
    return _chart("line_series", title)


def roc_curve(
    y_true: Any,
    y_probas: Any = None,
    labels: Sequence[str] | None = None,
    classes_to_plot: Sequence[Any] | None = None,
    title: str = "ROC Curve",
    split_table: bool = False,
) -> CustomChart:
    return _chart("roc_curve", title)


def pr_curve(
    y_true: Any,
    y_probas: Any = None,
    labels: Sequence[str] | None = None,
    classes_to_plot: Sequence[Any] | None = None,
    interp_size: int = 21,
    title: str = "Precision-Recall Curve",
    split_table: bool = False,
) -> CustomChart:
    return _chart("pr_curve", title)


def confusion_matrix(
    probs: Any = None,
    y_true: Any = None,
    preds: Any = None,
    class_names: Sequence[str] | None = None,
    title: str = "Confusion Matrix Curve",
    split_table: bool = False,
) -> CustomChart:
    return _chart("confusion_matrix", title)


def _chart(kind: str, title: str) -> CustomChart:
    made = CustomChart(kind)
    made.caption = title or kind
    return made
