"""For XGBoost: a callback that logs every evaluation of every round."""

import re
from typing import Any

import xgboost

import wandb
from wandb.integration._models import log_saved, warn_of_importances

_PLACE = re.compile(r"^\[[\d:]+\] \S+:\d+: (.*? : )?")
"""What XGBoost's errors begin with: time, line of its source, the failed check."""

_LOWER_IS_BETTER = ("loss", "error", "err", "rmse", "rmsle", "mae", "mape", "mphe", "deviance")


class WandbCallback(xgboost.callback.TrainingCallback):  # type: ignore[misc]
    """Logs ``DATA-METRIC`` and ``epoch`` in each round, then importances and the best round.

    With `xgboost.cv` it logs the means over the folds, and ``DATA-METRIC-std``.

    Args:
        log_model: log the model at the end as the artifact ``<run id>_model.json``.
        log_feature_importance: put each feature's importance into the summary at the end.
        importance_type: as of `Booster.get_score`.
        define_metric: let the summary hold each metric's best value.
    """

    def __init__(
        self,
        log_model: bool = False,
        log_feature_importance: bool = True,
        importance_type: str = "gain",
        define_metric: bool = True,
    ) -> None:
        super().__init__()
        self._log_model = log_model
        self._importance_type = importance_type if log_feature_importance else None
        self._define_metric = define_metric
        self._defined: set[str] = set()

    def before_training(self, model: Any) -> Any:
        """Keep the model's settings in the config; `xgboost.cv` has a model of each fold."""
        import json

        if hasattr(model, "save_config"):
            wandb.config.update(json.loads(model.save_config()), allow_val_change=True)
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        row: dict[str, Any] = {"epoch": epoch}
        for data, metrics in evals_log.items():
            for metric, values in metrics.items():
                name = f"{data}-{metric}"
                self._define(name, metric)
                row[name] = values[-1]
                if isinstance(values[-1], tuple):  # Of `xgboost.cv`.
                    row[name], row[f"{name}-std"] = values[-1]
        wandb.log(row)
        return False

    def after_training(self, model: Any) -> Any:
        if self._log_model:
            name = f"{wandb.run.id}_model.json"
            log_saved(
                "WandbCallback(log_model=True)", name, name, lambda path: model.save_model(path)
            )
        if self._importance_type is not None and hasattr(model, "get_score"):
            self._keep_importances(model, self._importance_type)
        if model.attr("best_score") is not None:
            wandb.summary["best_score"] = float(model.attr("best_score"))
            wandb.summary["best_iteration"] = int(model.attr("best_iteration"))
        return model

    def _keep_importances(self, model: Any, kind: str) -> None:
        try:
            scores = model.get_score(importance_type=kind)
        except (xgboost.core.XGBoostError, ValueError) as error:  # A linear booster has weights.
            first_line, _, _ = str(error).partition("\n")
            reason = _PLACE.sub("", first_line)
            warn_of_importances(f"WandbCallback(importance_type={kind!r})", reason)
            return
        wandb.summary.update({f"Feature Importance/{name}": scores[name] for name in scores})

    def _define(self, name: str, metric: str) -> None:
        if self._define_metric and name not in self._defined:
            self._defined.add(name)
            lower = any(part in metric for part in _LOWER_IS_BETTER)
            wandb.define_metric(name, summary="min" if lower else "max")


def wandb_callback(**arguments: Any) -> WandbCallback:
    """Return a `WandbCallback`; the old name."""
    return WandbCallback(**arguments)
