"""For LightGBM: a callback that logs every evaluation of every iteration."""

from typing import Any

import wandb
from wandb.integration._models import log_saved


class _Callback:
    def __init__(self, *, log_params: bool, define_metric: bool) -> None:
        self._log_params, self._define_metric = log_params, define_metric
        self._began = False

    def __call__(self, env: Any) -> None:
        results = env.evaluation_result_list or ()
        if not self._began:
            self._began = True
            self._begin(env, results)
        row: dict[str, Any] = {"iteration": env.iteration}
        for data, metric, value, _, *spread in results:
            row[_name(data, metric, spread)] = value
            if spread:
                row[f"{data}_{metric}-stdv"] = spread[0]
        wandb.log(row)

    def _begin(self, env: Any, results: Any) -> None:
        if self._log_params:
            wandb.config.update(env.params, allow_val_change=True)
        if self._define_metric:
            for data, metric, _, higher_is_better, *spread in results:
                wandb.define_metric(
                    _name(data, metric, spread), summary="max" if higher_is_better else "min"
                )


def _name(data: str, metric: str, spread: list[float]) -> str:
    return f"{data}_{metric}-mean" if spread else f"{data}_{metric}"


def wandb_callback(log_params: bool = True, define_metric: bool = True) -> _Callback:
    """Return a callback for `lightgbm.train` that logs ``DATA_METRIC`` and ``iteration``.

    Args:
        log_params: keep the training's parameters in the config.
        define_metric: let the summary hold each metric's best value.
    """
    return _Callback(log_params=log_params, define_metric=define_metric)


def log_summary(
    model: Any, feature_importance: bool = True, save_model_checkpoint: bool = False
) -> None:
    """Put the best iteration and score, and each feature's importance, into the summary.

    Args:
        save_model_checkpoint: log the model up to its best iteration as the artifact
            ``model_<run id>`` with the alias ``best``.
    """
    wandb.summary["best_iteration"] = model.best_iteration
    wandb.summary["best_score"] = model.best_score
    if feature_importance:
        names, values = model.feature_name(), model.feature_importance()
        for name, value in zip(names, values, strict=True):
            wandb.summary[f"Feature Importance/{name}"] = value
    if save_model_checkpoint:
        best = model.best_iteration
        log_saved(
            "log_summary(save_model_checkpoint=True)",
            f"model_{wandb.run.id}",
            f"model_ckpt_{best}.txt",
            lambda path: model.save_model(path, num_iteration=best),
            aliases=["best"],
        )
