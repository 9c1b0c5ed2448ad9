"""Charts about models of scikit-learn.

Those that are made of predictions are logged, and the page draws them. Each other call prints a
line.
"""

from collections.abc import Callable, Sequence
from typing import Any

import wandb
from stepwell._accounts import termwarn
from stepwell._confusion import with_classes
from stepwell._plot_values import classes_of

_ONE = "Pass the class of each sample"

_NAMES = """
plot_calibration_curve plot_class_proportions plot_classifier plot_clusterer plot_elbow_curve
plot_feature_importances plot_learning_curve plot_outlier_candidates plot_regressor plot_residuals
plot_silhouette plot_summary_metrics
"""


def plot_roc(
    y_true: Any = None,
    y_probas: Any = None,
    labels: Sequence[str] | None = None,
    plot_micro: bool = True,
    plot_macro: bool = True,
    classes_to_plot: Sequence[Any] | None = None,
) -> None:
    """Log `wandb.plot.roc_curve` as ``roc``."""
    _log("roc", lambda: wandb.plot.roc_curve(y_true, y_probas, labels, classes_to_plot))


def plot_precision_recall(
    y_true: Any = None,
    y_probas: Any = None,
    labels: Sequence[str] | None = None,
    plot_micro: bool = True,
    classes_to_plot: Sequence[Any] | None = None,
) -> None:
    """Log `wandb.plot.pr_curve` as ``precision_recall``."""
    _log("precision_recall", lambda: wandb.plot.pr_curve(y_true, y_probas, labels, classes_to_plot))


def plot_confusion_matrix(
    y_true: Any = None,
    y_pred: Any = None,
    labels: Sequence[str] | None = None,
    true_labels: Any = None,
    pred_labels: Any = None,
    normalize: bool = False,
) -> None:
    """Log the counts of all pairs of classes as ``confusion_matrix``."""
    if normalize or true_labels is not None or pred_labels is not None:
        termwarn(
            "wandb.sklearn.plot_confusion_matrix(): the chart has the counts of all classes; "
            "normalize, true_labels and pred_labels have no effect",
            repeat=False,
        )

    def make() -> Any:
        if y_true is None or y_pred is None:
            raise ValueError("give y_true and y_pred")
        truths = classes_of(y_true, "y_true", _ONE)
        guesses = classes_of(y_pred, "y_pred", _ONE)
        if len(truths) != len(guesses):
            raise ValueError(f"{len(guesses)} predictions for {len(truths)} values of y_true")
        call = "wandb.sklearn.plot_confusion_matrix()"
        truths, guesses = with_classes(truths, guesses, call, stacklevel=5)
        classes = sorted({*truths, *guesses})
        are_places = all(type(each) is int for each in classes)
        names: Any = labels if labels is not None and are_places else classes
        if names is classes:  # The classes themselves are their names.
            places = {name: place for place, name in enumerate(classes)}
            truths, guesses = [places[each] for each in truths], [places[each] for each in guesses]
        return wandb.plot.confusion_matrix(y_true=truths, preds=guesses, class_names=names)

    _log("confusion_matrix", make)


def _log(name: str, make: Callable[[], Any]) -> None:
    """Log the chart that ``make`` returns; a line says why there is none."""
    try:
        chart = make()
    except (TypeError, ValueError, IndexError) as error:
        termwarn(f"wandb.sklearn.plot_{name}(): nothing is logged: {error}", repeat=False)
        return
    wandb.log({name: chart})


def _unavailable(name: str) -> Callable[..., None]:
    def call(*arguments: Any, **named: Any) -> None:
        termwarn(
            f"wandb.sklearn.{name}() is not available yet, only in a later release: no chart "
            "is drawn; log the numbers with wandb.log()",
            repeat=False,
        )

    call.__name__ = name
    return call


_unavailable_names = _NAMES.split()
globals().update({name: _unavailable(name) for name in _unavailable_names})
__all__ = ["plot_confusion_matrix", "plot_precision_recall", "plot_roc", *_unavailable_names]
