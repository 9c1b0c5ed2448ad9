"""For Stable-Baselines3: a callback that saves the model and logs what the learner logs."""

import os
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter

import wandb
from wandb.integration._models import save_with_run


class _Writer(KVWriter):  # type: ignore[misc]
    """One of the learner's outputs, beside its terminal and files."""

    def write(self, key_values: dict[str, Any], key_excluded: Any, step: int = 0) -> None:
        numbers = {name: value for name, value in key_values.items() if _is_number(value)}
        wandb.log({**numbers, "global_step": step})

    def close(self) -> None:
        """No effect: no file is open."""


class WandbCallback(BaseCallback):  # type: ignore[misc]
    """Logs the learner's own values at its time steps, so that no TensorBoard file is needed.

    Args:
        verbose: as of `BaseCallback`.
        model_save_path: folder for ``model.zip``, which is kept with the run; None saves none.
        model_save_freq: save every so many calls, and at the end; 0: at the end only.
        gradient_save_freq: record histograms of the policy every so many batches; 0 records none.
        log: as of `wandb.watch`.
    """

    def __init__(
        self,
        verbose: int = 0,
        model_save_path: str | None = None,
        model_save_freq: int = 0,
        gradient_save_freq: int = 0,
        log: str | None = "all",
    ) -> None:
        super().__init__(verbose)
        self._path, self._every = model_save_path, model_save_freq
        if log not in (None, "gradients", "parameters", "all"):
            wandb.termwarn(f"WandbCallback: log is {log!r}, of no known kind; using 'all'")
            log = "all"
        self._gradients, self._log = gradient_save_freq, log
        if model_save_freq and model_save_path is None:
            wandb.termwarn(
                "WandbCallback(model_save_freq=…) needs model_save_path: no model is saved"
            )

    def _init_callback(self) -> None:
        values: dict[str, Any] = {"algo": type(self.model).__name__}
        for name, value in vars(self.model).items():
            if isinstance(value, bool | int | float | str):
                values[name] = value
        wandb.config.setdefaults(values)
        if self._gradients:
            wandb.watch(self.model.policy, log=self._log, log_freq=self._gradients)

    def _on_step(self) -> bool:
        if self._path is not None and self._every and self.n_calls % self._every == 0:
            self._save()
        return True

    def _on_training_start(self) -> None:
        self.logger.output_formats.append(_Writer())

    def _on_training_end(self) -> None:
        outputs = self.logger.output_formats
        outputs[:] = [each for each in outputs if not isinstance(each, _Writer)]
        if self._path is not None:
            self._save()

    def _save(self) -> None:
        os.makedirs(str(self._path), exist_ok=True)
        path = os.path.join(str(self._path), "model.zip")
        self.model.save(path)
        save_with_run("WandbCallback(model_save_path=…)", path)


def _is_number(value: Any) -> bool:
    return hasattr(type(value), "__float__")
