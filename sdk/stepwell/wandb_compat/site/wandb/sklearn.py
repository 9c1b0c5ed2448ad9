"""Charts about models of scikit-learn: not there yet. Each call says so."""

from collections.abc import Callable
from typing import Any

from stepwell._accounts import termwarn

_NAMES = """
plot_calibration_curve plot_class_proportions plot_classifier plot_clusterer plot_confusion_matrix
plot_elbow_curve plot_feature_importances plot_learning_curve plot_outlier_candidates
plot_precision_recall plot_regressor plot_residuals plot_roc plot_silhouette plot_summary_metrics
"""


def _unavailable(name: str) -> Callable[..., None]:
    def call(*arguments: Any, **named: Any) -> None:
        termwarn(
            f"wandb.sklearn.{name}() is not available yet, only in a later release: no chart "
            "is drawn; log the numbers with wandb.log()",
            repeat=False,
        )

    call.__name__ = name
    return call


__all__ = _NAMES.split()
globals().update({name: _unavailable(name) for name in __all__})
