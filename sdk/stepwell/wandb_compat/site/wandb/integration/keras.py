"""For Keras: callbacks that log metrics by epoch or batch, and save the model beside them."""

import os
from typing import Any

import wandb
from wandb.integration._models import log_file, run_for

try:
    import keras
except ImportError:  # TensorFlow before 2.16 brings its own.
    from tensorflow import keras


class WandbMetricsLogger(keras.callbacks.Callback):  # type: ignore[misc]
    """Logs ``epoch/METRIC`` after each epoch, and ``batch/METRIC`` every so many batches.

    Args:
        log_freq: ``epoch``, ``batch`` or a number of batches.
        initial_global_step: number of the first batch, where training goes on.
    """

    def __init__(self, log_freq: str | int = "epoch", initial_global_step: int = 0) -> None:
        super().__init__()
        if log_freq == "batch":
            log_freq = 1
        if log_freq != "epoch" and (isinstance(log_freq, bool) or not isinstance(log_freq, int)):
            raise ValueError(f"log_freq: expected 'epoch', 'batch' or a number, not {log_freq!r}")
        self._every = log_freq if isinstance(log_freq, int) else 0
        self._batch = initial_global_step
        wandb.define_metric("epoch/epoch")
        wandb.define_metric("epoch/*", step_metric="epoch/epoch")
        if self._every:
            wandb.define_metric("batch/batch_step")
            wandb.define_metric("batch/*", step_metric="batch/batch_step")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._every and batch % self._every == 0:
            row = {f"batch/{name}": value for name, value in (logs or {}).items()}
            wandb.log({**row, "batch/batch_step": self._batch, **self._rate("batch")})
        self._batch += 1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        row = {f"epoch/{name}": value for name, value in (logs or {}).items()}
        wandb.log({**row, "epoch/epoch": epoch, **self._rate("epoch")})

    def _rate(self, prefix: str) -> dict[str, float]:
        optimizer: Any = getattr(self.model, "optimizer", None)
        try:
            return {f"{prefix}/learning_rate": float(optimizer.learning_rate)}
        except (AttributeError, TypeError, ValueError):  # None, or a schedule of its own.
            return {}


class WandbModelCheckpoint(keras.callbacks.ModelCheckpoint):  # type: ignore[misc]
    """Saves the model as Keras' own callback does, and logs each saved file.

    Each is a version of the artifact ``run_<run id>_model`` with the alias ``epoch_<epoch>``, or
    ``epoch_<epoch>_batch_<batch>``; both count from 0. An epoch without a better model has no
    version if ``save_best_only`` is set.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        run_for("WandbModelCheckpoint()")

    def _save_model(self, epoch: int, batch: int | None = None, logs: Any = None) -> None:
        path = os.fspath(self._get_file_path(epoch, batch, logs or {}))
        before = _marks(path)
        super()._save_model(epoch=epoch, batch=batch, logs=logs)
        after = _marks(path)
        # Without a new file, save_best_only has found no better model.
        if after != before or (after is None and not self.save_best_only):
            alias = f"epoch_{epoch}" if batch is None else f"epoch_{epoch}_batch_{batch}"
            self._log_ckpt_as_artifact(path, aliases=["latest", alias])

    def _log_ckpt_as_artifact(self, filepath: str, aliases: list[str] | None = None) -> None:
        name = f"run_{run_for('WandbModelCheckpoint()').id}_model"
        log_file("WandbModelCheckpoint", name, filepath, aliases or [])


def _marks(path: str) -> list[tuple[int, ...]] | None:
    """Return facts that change with a file, or with a file in a folder; None without one."""
    paths = [path]
    for folder, _, names in os.walk(path):
        paths += [os.path.join(folder, name) for name in names]
    try:
        found = [os.stat(each) for each in paths]
    except OSError:
        return None
    return [(each.st_ino, each.st_size, each.st_mtime_ns) for each in found]


class WandbEvalCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """A base class for tables of predictions; its subclasses add their rows."""

    def __init__(
        self, data_table_columns: list[str], pred_table_columns: list[str], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.data_table_columns = data_table_columns
        self.pred_table_columns = pred_table_columns

    def on_train_begin(self, logs: Any = None) -> None:
        self.init_data_table(self.data_table_columns)
        self.add_ground_truth(logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.init_pred_table(self.pred_table_columns)
        self.add_model_predictions(epoch, logs)
        self.log_pred_table()

    def add_ground_truth(self, logs: Any = None) -> None:
        raise NotImplementedError(f"{type(self).__name__}.add_ground_truth")

    def add_model_predictions(self, epoch: int, logs: Any = None) -> None:
        raise NotImplementedError(f"{type(self).__name__}.add_model_predictions")

    def init_data_table(self, column_names: list[str]) -> None:
        self.data_table = wandb.Table(columns=column_names, allow_mixed_types=True)

    def init_pred_table(self, column_names: list[str]) -> None:
        self.pred_table = wandb.Table(columns=column_names)

    def log_data_table(
        self, name: str = "val", type: str = "dataset", table_name: str = "val_data"
    ) -> None:
        wandb.log_artifact(wandb.Artifact(name, type=type))

    def log_pred_table(
        self,
        type: str = "evaluation",
        table_name: str = "eval_data",
        aliases: list[str] | None = None,
    ) -> None:
        wandb.log({table_name: self.pred_table}, commit=False)


class WandbCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """The old callback: logs every epoch's metrics under their own names, and ``epoch``."""

    def __init__(self, **options: Any) -> None:
        super().__init__()  # Its options chose what to save and which media to log.

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        wandb.log({"epoch": epoch, **(logs or {})})
