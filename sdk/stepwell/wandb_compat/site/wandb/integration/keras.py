"""For Keras: callbacks that log metrics by epoch or batch, and save the model beside them."""

import os
from typing import Any

import wandb
from wandb.integration._models import log_file, log_saved, run_for

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
    """A base class for tables of predictions; its subclasses add their rows.

    `add_ground_truth` fills ``data_table`` once. `add_model_predictions` fills ``pred_table`` after
    each epoch, and can read the rows of the first table from ``data_table_ref``. Both are tables of
    the run, not artifacts.
    """

    data_table: Any
    pred_table: Any
    data_table_ref: Any

    def __init__(
        self,
        data_table_columns: list[str],
        pred_table_columns: list[str],
        *arguments: Any,
        **named: Any,
    ) -> None:
        super().__init__(*arguments, **named)
        run_for("WandbEvalCallback()")
        self.data_table_columns = data_table_columns
        self.pred_table_columns = pred_table_columns

    def on_train_begin(self, logs: Any = None) -> None:
        self.init_data_table(column_names=self.data_table_columns)
        self.add_ground_truth(logs)
        self.log_data_table()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.init_pred_table(column_names=self.pred_table_columns)
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
        """Log ``data_table`` as ``table_name``, in the row of the first epoch."""
        if (name, type) != ("val", "dataset"):
            _say_tables_only("log_data_table()", "name and type")
        wandb.log({table_name: self.data_table}, commit=False)
        self.data_table_ref = self.data_table

    def log_pred_table(
        self,
        type: str = "evaluation",
        table_name: str = "eval_data",
        aliases: list[str] | None = None,
    ) -> None:
        """Log ``pred_table`` as ``table_name``, in a row of its own."""
        if type != "evaluation" or aliases:
            _say_tables_only("log_pred_table()", "type and aliases")
        wandb.log({table_name: self.pred_table})


def _say_tables_only(call: str, without: str) -> None:
    wandb.run._voice.warn_once(
        call, f"{call}: the table is in the history of the run, {without} have no effect"
    )


class WandbCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """The old callback: logs every epoch's metrics under their own names, and ``epoch``.

    Args:
        monitor: the metric that says which epoch is the best so far.
        verbose: print a line for each best epoch.
        mode: ``min`` or ``max``; ``auto`` is ``max`` for metrics with ``acc`` in their name.
        save_weights_only: whether ``save_model`` logs only the weights.
        log_weights: log histograms of each layer's weights after each epoch.
        log_gradients: not supported, as are the options that log predictions; a line says so.
        save_model: log the model of each best epoch as the artifact ``model-<run name>``.
        log_best_prefix: prefix of the best epoch and its value in the summary; None: neither.
        log_batch_frequency: log metrics also every so many batches.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        verbose: int = 0,
        mode: str = "auto",
        save_weights_only: bool = False,
        log_weights: bool = False,
        log_gradients: bool = False,
        save_model: bool = True,
        *,
        log_best_prefix: str | None = "best_",
        log_batch_frequency: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.monitor, self.verbose = monitor, verbose
        self.save_weights_only, self.log_weights = save_weights_only, log_weights
        self.save_model = save_model
        self.log_best_prefix, self.log_batch_frequency = log_best_prefix, log_batch_frequency
        is_max = mode == "max" or (mode != "min" and "acc" in monitor)
        self._sign = -1 if is_max else 1
        self._best: float | None = None
        unsupported = [
            name for name, value in options.items() if value is not None and value is not False
        ]
        if log_gradients:
            unsupported.insert(0, "log_gradients")
        if unsupported:
            run_for("WandbCallback()")._voice.warn_once(
                "keras options",
                f"WandbCallback: these options have no effect: {', '.join(unsupported)}",
            )

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.log_batch_frequency and batch % self.log_batch_frequency == 0:
            wandb.log(dict(logs or {}))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        found = logs or {}
        weights = self._weights() if self.log_weights else {}
        wandb.log({"epoch": epoch, **weights, **found})
        if self.monitor in found:
            value = float(found[self.monitor])
            is_first = self._best is None and value == value  # NaN is never the best.
            if is_first or (self._best is not None and self._sign * (value - self._best) < 0):
                self._best = value
                self._note_best(epoch)
        elif self.save_model:
            run_for("WandbCallback()")._voice.warn_once(
                "keras monitor",
                f"WandbCallback: no model is logged, Keras reports no {self.monitor!r}; "
                "give validation data or another monitor, or save_model=False",
            )

    def _note_best(self, epoch: int) -> None:
        run = run_for("WandbCallback()")
        if self.verbose:
            wandb.termlog(f"epoch {epoch}: {self.monitor} improved to {self._best:.5g}")
        if self.log_best_prefix:
            run.summary[f"{self.log_best_prefix}{self.monitor}"] = self._best
            run.summary[f"{self.log_best_prefix}epoch"] = epoch
        if self.save_model:
            ending = ".h5" if keras.__version__.startswith("2.") else ".keras"
            log_saved(
                "WandbCallback",
                f"model-{run.name or run.id}",
                "model-best.weights.h5" if self.save_weights_only else f"model-best{ending}",
                self.model.save_weights if self.save_weights_only else self.model.save,
                aliases=["latest", f"epoch_{epoch}"],
            )

    def _weights(self) -> dict[str, Any]:
        made = {}
        for layer in self.model.layers:
            arrays = [array for array in layer.get_weights() if array.size]
            for place, array in enumerate(arrays):
                part = (".weights", ".bias")[place] if len(arrays) == 2 else f".{place}"
                name = f"parameters/{layer.name}{part if len(arrays) > 1 else ''}"
                made[name] = wandb.Histogram(array)
        return made
