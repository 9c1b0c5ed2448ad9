"""For CatBoost: a callback that logs every evaluation of every iteration."""

from typing import Any

import wandb
from wandb.integration._models import log_saved, warn_of_importances


class WandbCallback:
    """Logs ``DATA-METRIC`` and ``iteration`` every ``metric_period`` iterations."""

    def __init__(self, metric_period: int = 1) -> None:
        self.metric_period = metric_period

    def after_iteration(self, info: Any) -> bool:
        """Return True, which lets the training go on."""
        if info.iteration % self.metric_period == 0:
            row: dict[str, Any] = {"iteration": info.iteration}
            for data, metrics in info.metrics.items():
                for metric, values in metrics.items():
                    row[f"{data}-{metric}"] = values[-1]
            wandb.log(row)
        return True


def log_summary(
    model: Any,
    log_all_params: bool = True,
    save_model_checkpoint: bool = False,
    log_feature_importance: bool = True,
) -> None:
    """Put the best iteration and score, parameters and importances into config and summary.

    Args:
        log_all_params: put also parameters that were not given into the config.
        save_model_checkpoint: log the model as the artifact ``model_<run id>``, with the alias
            ``best`` if CatBoost has cut it to its best iteration, otherwise ``last``.
    """
    parameters = model.get_all_params() if log_all_params else model.get_params()
    wandb.config.update(parameters, allow_val_change=True)
    wandb.summary["best_iteration"] = model.get_best_iteration()
    wandb.summary["best_score"] = model.get_best_score()
    if log_feature_importance:
        importances = model.feature_importances_
        if not getattr(importances, "ndim", 1):  # An array of None: a ranking's depend on data.
            warn_of_importances("log_summary()", "CatBoost computes them only with the data")
        else:
            for name, value in zip(model.feature_names_, importances, strict=True):
                wandb.summary[f"Feature Importance/{name}"] = value
    if save_model_checkpoint:
        is_best = model.get_all_params().get("use_best_model")
        log_saved(
            "log_summary(save_model_checkpoint=True)",
            f"model_{wandb.run.id}",
            "model",
            model.save_model,
            aliases=["best" if is_best else "last"],
        )
